"""Answers that do not look at the inputs: the same for every example.

Where every sequence has the same scored steps, an answer may differ from step to step, as long as
each step has ENOUGH targets to tell what is best there.

Legend: N examples, S scored steps, D targets a step, O outputs or classes, M scored targets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drnn_bench.metrics.forms import UNSCORED, Predictions, TargetForm

ENOUGH = 100  # targets; of classes, so many for each class


def class_counts(y: np.ndarray, form: TargetForm) -> np.ndarray:
    """How often each class is the target, [positions, O]: one position, or one a step. Of binary
    targets each of the D is a position of its own, with the classes 0 and 1."""
    if form.kind == "binary":
        y_MD = y.reshape(-1, form.targets)
        return np.stack([_counts(y_M[~np.isnan(y_M)], 2) for y_M in y_MD.T])
    counts_SO = np.stack([_counts(y_N[y_N != UNSCORED], form.outputs) for y_N in y.T])
    if (counts_SO.sum(1) < ENOUGH * form.outputs).any():
        counts_SO = counts_SO.sum(0, keepdims=True)
    return counts_SO


def _counts(scored_M: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(scored_M.astype(np.int64, copy=False), minlength=classes)


def class_shares(y: np.ndarray, form: TargetForm) -> tuple[np.ndarray, np.ndarray]:
    """The classes' shares at each position, and the positions' own weights."""
    counts_SO = class_counts(y, form)
    return counts_SO / counts_SO.sum(1, keepdims=True), counts_SO.sum(1) / counts_SO.sum()


def answers_real(
    y_NSD: np.ndarray, form: TargetForm, best: Callable[[np.ndarray], np.ndarray]
) -> Predictions:
    """Predictions of real targets that are the same for every example. `best` gives the answers of
    the scored targets [M] of one position."""
    scored_NSD = ~np.isnan(y_NSD)
    if (scored_NSD.sum(0) < ENOUGH).any():  # one answer for all steps
        answers = [best(y[m]) for y, m in _columns(y_NSD, scored_NSD)]
        answers_SO = np.concatenate(answers)[None].repeat(y_NSD.shape[1], axis=0)
    else:
        answers_SO = np.stack(
            [
                np.concatenate([best(y[m]) for y, m in _columns(y_N1D, m_N1D)])
                for y_N1D, m_N1D in zip(
                    y_NSD.swapaxes(0, 1), scored_NSD.swapaxes(0, 1), strict=True
                )
            ]
        )
    outputs_NSO = np.broadcast_to(answers_SO, (len(y_NSD), *answers_SO.shape))
    return Predictions(form, outputs_NSO, y_NSD, np.zeros(len(y_NSD)))


def _columns(y: np.ndarray, scored: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Targets and which of them count, for each of the D."""
    width = y.shape[-1]
    return list(zip(y.reshape(-1, width).T.astype(np.float64), scored.reshape(-1, width).T,
                    strict=True))  # fmt: skip
