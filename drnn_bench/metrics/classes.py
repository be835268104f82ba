"""Metrics of decisions. The decision is the class of the largest logit, or yes where a binary logit
is above 0.

Legend: N examples, S scored steps, O classes, K statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from drnn_bench.metrics.constant import class_counts, class_shares
from drnn_bench.metrics.forms import Form, Predictions, TargetForm
from drnn_bench.metrics.metric import MeanMetric, TotalsMetric


@dataclass(frozen=True, kw_only=True)
class Accuracy(MeanMetric):
    """The share of scored targets that are decided rightly."""

    name: ClassVar[str] = "accuracy"
    unit: ClassVar[str] = "accuracy %"
    direction: ClassVar[Literal["max", "min"]] = "max"
    takes: ClassVar[tuple[Form, ...]] = ("classes", "binary")
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[float] = 100.0
    margin: ClassVar[float] = 0.002
    decimals: ClassVar[int | None] = 1

    def statistics(self, p: Predictions) -> np.ndarray:
        binary = p.form.kind == "binary"
        decided = p.outputs_NSO > 0 if binary else p.outputs_NSO.argmax(2)
        right = (decided == p.targets) & p.scored
        return np.stack([right.reshape(len(right), -1).sum(1), p.counts_N], axis=1)

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        shares_SO, weights_S = class_shares(y, form)
        return float(weights_S @ shares_SO.max(1))


@dataclass(frozen=True, kw_only=True)
class _OfClasses(TotalsMetric):
    """A mean over classes. Statistics: for each class its right decisions, its targets and how
    often it was decided, [3 O]."""

    direction: ClassVar[Literal["max", "min"]] = "max"
    takes: ClassVar[tuple[Form, ...]] = ("classes",)
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def statistics(self, p: Predictions) -> np.ndarray:
        decided_NS = p.outputs_NSO.argmax(2)
        right_NS = p.scored & (decided_NS == p.targets)
        parts = ((p.targets, right_NS), (p.targets, p.scored), (decided_NS, p.scored))
        return np.concatenate([_counted(c, m, p.form.outputs) for c, m in parts], axis=1)


def _counted(classes_NS: np.ndarray, mask_NS: np.ndarray, classes: int) -> np.ndarray:
    """How often each class stands where the mask does, [N, O]."""
    counts_NO = np.zeros((len(classes_NS), classes))
    rows, steps = np.nonzero(mask_NS)
    np.add.at(counts_NO, (rows, classes_NS[rows, steps]), 1)
    return counts_NO


@dataclass(frozen=True, kw_only=True)
class BalancedAccuracy(_OfClasses):
    """The mean over the classes of the share of a class's targets that are decided rightly (its
    recall). Classes without a target are left out."""

    name: ClassVar[str] = "balanced_accuracy"
    unit: ClassVar[str] = "balanced accuracy %"
    scale: ClassVar[float] = 100.0
    margin: ClassVar[float] = 0.002
    decimals: ClassVar[int | None] = 1

    def of_totals(self, totals_K: np.ndarray) -> float:
        right_O, wanted_O, _ = totals_K.reshape(3, -1)
        return float((right_O[wanted_O > 0] / wanted_O[wanted_O > 0]).mean())

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return 1 / np.count_nonzero(class_counts(y, form).sum(0))


@dataclass(frozen=True, kw_only=True)
class MacroF1(_OfClasses):
    """The mean over the classes of F1 = 2 right / (wanted + decided). Classes that are neither a
    target nor decided are left out."""

    name: ClassVar[str] = "macro_f1"
    unit: ClassVar[str] = "macro F1"
    margin: ClassVar[float] = 0.005
    decimals: ClassVar[int | None] = 4

    def of_totals(self, totals_K: np.ndarray) -> float:
        right_O, wanted_O, decided_O = totals_K.reshape(3, -1)
        either_O = wanted_O + decided_O
        return float((2 * right_O[either_O > 0] / either_O[either_O > 0]).mean())

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        counts_O = class_counts(y, form).sum(0)
        shares_O = counts_O[counts_O > 0] / counts_O.sum()
        return float((2 * shares_O / (1 + shares_O)).max() / len(shares_O))
