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
    steps = [slice(s, s + 1) for s in range(y_NSD.shape[1])]
    if (scored_NSD.sum(0) < ENOUGH).any():  # one answer for all steps
        steps = [slice(None)]
    answers_SO = np.stack(
        [
            np.concatenate([best(y_M) for y_M in _columns(y_NSD[:, step], scored_NSD[:, step])])
            for step in steps
        ]
    )
    shape = (*y_NSD.shape[:2], answers_SO.shape[1])
    outputs_NSO = np.broadcast_to(answers_SO, shape)
    return Predictions(form, outputs_NSO, y_NSD, np.zeros(len(y_NSD)))


def _columns(y_NSD: np.ndarray, scored_NSD: np.ndarray) -> list[np.ndarray]:
    """The scored targets [M] of each of the D."""
    return [y[m].astype(np.float64) for y, m in zip(y_NSD.T, scored_NSD.T, strict=True)]
