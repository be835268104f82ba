"""The area under the ROC curve: how often a positive example has a higher score than a negative.

Of two classes and of one binary target, one area. Of more classes, each against the rest, and of
several binary targets, the mean of the areas; one without positives or without negatives is left
out. All scored steps count together.

Legend: N examples, S scored steps, A areas, M scored steps of all examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from drnn_bench.metrics.forms import UNSCORED, Form, Predictions, TargetForm
from drnn_bench.metrics.metric import Metric


@dataclass(frozen=True, kw_only=True)
class AUROC(Metric):
    """Ties count half. Outcomes are DeLong's placement values (DeLong et al. 1988): of a positive
    the share of negatives below it, of a negative the share of positives above it."""

    name: ClassVar[str] = "auroc"
    unit: ClassVar[str] = "AUROC"
    direction: ClassVar[Literal["max", "min"]] = "max"
    takes: ClassVar[tuple[Form, ...]] = ("classes", "binary")
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    margin: ClassVar[float] = 0.002
    decimals: ClassVar[int | None] = 4

    def statistics(self, p: Predictions) -> np.ndarray:
        """Scores and labels [N, A, S, 2] in a row, with the number of areas first. A label is 1, 0,
        or NaN where the step is not scored."""
        scores_NSA = _scores(p)
        labels_NSA = _labels(p.targets, p.form)
        both_NAS2 = np.stack([scores_NSA, labels_NSA], axis=3).swapaxes(1, 2)
        count, areas = both_NAS2.shape[:2]
        return np.concatenate([np.full((count, 1), areas), both_NAS2.reshape(count, -1)], axis=1)

    def value(self, s_NK: np.ndarray) -> float:
        areas = [area for area, _ in map(_area, _areas(s_NK))]
        return float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan")

    def outcomes(self, s_NK: np.ndarray) -> np.ndarray:
        each = [_area(one) for one in _areas(s_NK)]
        return np.mean([placed_N for area, placed_N in each if np.isfinite(area)], axis=0)

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return 0.5

    def fault(self, y: np.ndarray, form: TargetForm) -> str | None:
        labels_NSA = _labels(y, form)
        both_A = (labels_NSA == 1).any((0, 1)) & (labels_NSA == 0).any((0, 1))
        return None if both_A.any() else "auroc needs targets of two classes, all are of one"


def _scores(p: Predictions) -> np.ndarray:
    """What ranks the steps, [N, S, A]."""
    x_NSO = p.outputs_NSO.astype(np.float64)
    if p.form.kind == "binary":
        return x_NSO
    if p.form.outputs == 2:
        return x_NSO[..., 1:] - x_NSO[..., :1]
    largest = x_NSO.max(2, keepdims=True)
    return x_NSO - largest - np.log(np.exp(x_NSO - largest).sum(2, keepdims=True))


def _labels(y: np.ndarray, form: TargetForm) -> np.ndarray:
    """1, 0 or NaN, [N, S, A]."""
    if form.kind == "binary":
        return y
    classes = np.arange(form.outputs)[-1:] if form.outputs == 2 else np.arange(form.outputs)
    labels_NSA = (y[..., None] == classes).astype(np.float64)
    labels_NSA[y == UNSCORED] = np.nan
    return labels_NSA


def _areas(s_NK: np.ndarray) -> np.ndarray:
    """[A, N, S, 2]."""
    return s_NK[:, 1:].reshape(len(s_NK), int(s_NK[0, 0]), -1, 2).swapaxes(0, 1)


def _area(one_NS2: np.ndarray) -> tuple[float, np.ndarray]:
    """An area, and what each example adds to it; NaN where one kind of label is missing."""
    count, steps = one_NS2.shape[:2]
    scores_M, labels_M = one_NS2.reshape(-1, 2).T
    positive_M, negative_M = labels_M == 1, labels_M == 0
    positives, negatives = positive_M.sum(), negative_M.sum()
    if not positives or not negatives:
        return float("nan"), np.full(count, np.nan)
    below = _share_below(scores_M[positive_M], scores_M[negative_M])
    above = 1 - _share_below(scores_M[negative_M], scores_M[positive_M])
    area = float(below.mean())
    adds_M = np.zeros(len(scores_M))
    adds_M[positive_M] = (below - area) / positives
    adds_M[negative_M] = (above - area) / negatives
    return area, area + count * adds_M.reshape(count, steps).sum(1)


def _share_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each score the share of others below it, ties half."""
    ordered = np.sort(others)
    left, right = np.searchsorted(ordered, scores), np.searchsorted(ordered, scores, "right")
    return (left + right) / (2 * len(others))
