"""Metrics of probabilities: how many nats or bits the right answers cost.

Legend: N examples, S positions, O classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from drnn_bench.metrics.constant import class_shares
from drnn_bench.metrics.forms import Form, Predictions, TargetForm
from drnn_bench.metrics.metric import MeanMetric, TotalsMetric


def _nats(p: Predictions) -> np.ndarray:
    """Nats and scored targets of each example, [N, 2]."""
    return np.stack([p.losses_N, p.counts_N], axis=1)


def _entropy(y: np.ndarray, form: TargetForm) -> float:
    """Of the targets' frequencies, in nats."""
    shares_SO, weights_S = class_shares(y, form)
    logs_SO = np.log(np.where(shares_SO > 0, shares_SO, 1.0))
    return float(-weights_S @ (shares_SO * logs_SO).sum(1))


@dataclass(frozen=True, kw_only=True)
class CrossEntropy(MeanMetric):
    """-log probability of the right answer, in nats, mean over scored targets."""

    name: ClassVar[str] = "cross_entropy"
    unit: ClassVar[str] = "nats"
    direction: ClassVar[Literal["max", "min"]] = "min"
    takes: ClassVar[tuple[Form, ...]] = ("classes", "binary")
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    margin: ClassVar[float] = 0.01
    decimals: ClassVar[int | None] = 4

    def statistics(self, p: Predictions) -> np.ndarray:
        return _nats(p)

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return _entropy(y, form)


@dataclass(frozen=True, kw_only=True)
class BitsPerCharacter(CrossEntropy):
    """The same in bits."""

    name: ClassVar[str] = "bits_per_character"
    unit: ClassVar[str] = "bits/char"
    takes: ClassVar[tuple[Form, ...]] = ("classes",)
    margin: ClassVar[float] = 0.005

    def value(self, s_NK: np.ndarray) -> float:
        return super().value(s_NK) / math.log(2)

    def outcomes(self, s_NK: np.ndarray) -> np.ndarray:
        return s_NK[:, 0] / math.log(2) * (len(s_NK) / s_NK[:, 1].sum())

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return _entropy(y, form) / math.log(2)


@dataclass(frozen=True, kw_only=True)
class Perplexity(TotalsMetric):
    """e to the cross-entropy."""

    name: ClassVar[str] = "perplexity"
    unit: ClassVar[str] = "perplexity"
    direction: ClassVar[Literal["max", "min"]] = "min"
    takes: ClassVar[tuple[Form, ...]] = ("classes",)
    bounds: ClassVar[tuple[float, float]] = (1.0, math.inf)
    margin: ClassVar[float] = 0.05
    decimals: ClassVar[int | None] = 3

    def statistics(self, p: Predictions) -> np.ndarray:
        return _nats(p)

    def of_totals(self, totals_K: np.ndarray) -> float:
        # A record holds no more than e^230 = 1e100.
        return float(np.exp(np.minimum(totals_K[0] / totals_K[1], 230.0)))

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return math.exp(_entropy(y, form))
