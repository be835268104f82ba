"""Metrics of real numbers, in the targets' own unit. Of quantiles the middle one is read, but by
the pinball loss all.

Legend: N examples, S scored steps, D targets a step, Q quantiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from drnn_bench.metrics.constant import answers_real
from drnn_bench.metrics.forms import Form, Predictions, TargetForm
from drnn_bench.metrics.metric import MeanMetric, Metric, TotalsMetric


def _mean(y_M: np.ndarray) -> np.ndarray:
    return np.array([y_M.mean()])


@dataclass(frozen=True, kw_only=True)
class MSE(MeanMetric):
    """The mean squared error over all scored targets."""

    name: ClassVar[str] = "mse"
    unit: ClassVar[str] = "MSE"
    direction: ClassVar[Literal["max", "min"]] = "min"
    takes: ClassVar[tuple[Form, ...]] = ("real",)
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def statistics(self, p: Predictions) -> np.ndarray:
        return np.stack([(p.errors_NSD**2).sum((1, 2)), p.counts_N], axis=1)

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return self.value(self.statistics(answers_real(y, form, _mean)))


@dataclass(frozen=True, kw_only=True)
class RMSE(TotalsMetric):
    """The root of the mean squared error; of several targets a step, the mean of their roots."""

    name: ClassVar[str] = "rmse"
    unit: ClassVar[str] = "RMSE"
    direction: ClassVar[Literal["max", "min"]] = "min"
    takes: ClassVar[tuple[Form, ...]] = ("real",)
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def statistics(self, p: Predictions) -> np.ndarray:
        return np.concatenate([(p.errors_NSD**2).sum(1), p.scored.sum(1)], axis=1)

    def of_totals(self, totals_K: np.ndarray) -> float:
        squares_D, counts_D = totals_K.reshape(2, -1)
        known_D = counts_D > 0
        return float(np.sqrt(squares_D[known_D] / counts_D[known_D]).mean())

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return self.value(self.statistics(answers_real(y, form, _mean)))


@dataclass(frozen=True, kw_only=True)
class R2(Metric):
    """1 - squared error / squared distance from the targets' mean; of several targets a step, the
    mean of theirs. Statistics of each of the D: count, mean, squared distance from that mean, and
    squared error. Nothing is squared before its mean is subtracted, which would lose digits."""

    name: ClassVar[str] = "r2"
    unit: ClassVar[str] = "R²"
    direction: ClassVar[Literal["max", "min"]] = "max"
    takes: ClassVar[tuple[Form, ...]] = ("real",)
    bounds: ClassVar[tuple[float, float]] = (-math.inf, 1.0)
    margin: ClassVar[float] = 0.005
    decimals: ClassVar[int | None] = 4

    def statistics(self, p: Predictions) -> np.ndarray:
        y_NSD = np.where(p.scored, p.targets, 0.0)
        counts_ND = p.scored.sum(1)
        means_ND = y_NSD.sum(1) / np.maximum(counts_ND, 1)
        around_NSD = np.where(p.scored, y_NSD - means_ND[:, None], 0.0)
        parts = (counts_ND, means_ND, (around_NSD**2).sum(1), (p.errors_NSD**2).sum(1))
        return np.concatenate(parts, axis=1)

    def value(self, s_NK: np.ndarray) -> float:
        errors_ND, distances_ND = self._squares(s_NK)
        return float((1 - errors_ND.sum(0) / distances_ND.sum(0)).mean())

    def outcomes(self, s_NK: np.ndarray) -> np.ndarray:
        """By the delta method; a shift of the mean changes no distance to first order."""
        errors_ND, distances_ND = self._squares(s_NK)
        error_D, distance_D = errors_ND.sum(0), distances_ND.sum(0)
        adds_ND = (distances_ND - distances_ND.mean(0)) * (error_D / distance_D**2)
        adds_ND -= (errors_ND - errors_ND.mean(0)) / distance_D
        return self.value(s_NK) + len(s_NK) * adds_ND.mean(1)

    @staticmethod
    def _squares(s_NK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each example's squared errors, and its squared distances from the mean of all."""
        counts_ND, means_ND, around_ND, errors_ND = np.split(s_NK, 4, axis=1)
        mean_D = (counts_ND * means_ND).sum(0) / counts_ND.sum(0)
        return errors_ND, around_ND + counts_ND * (means_ND - mean_D) ** 2

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        return self.value(self.statistics(answers_real(y, form, _mean)))

    def fault(self, y: np.ndarray, form: TargetForm) -> str | None:
        low_D, high_D = np.nanmin(y, (0, 1)), np.nanmax(y, (0, 1))
        return None if (low_D < high_D).all() else "r2 needs targets that differ, all are the same"


@dataclass(frozen=True, kw_only=True)
class MAE(MeanMetric):
    """The mean absolute error over all scored targets."""

    name: ClassVar[str] = "mae"
    unit: ClassVar[str] = "MAE"
    direction: ClassVar[Literal["max", "min"]] = "min"
    takes: ClassVar[tuple[Form, ...]] = ("real", "quantiles")
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def statistics(self, p: Predictions) -> np.ndarray:
        return np.stack([np.abs(p.errors_NSD).sum((1, 2)), p.counts_N], axis=1)

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        def median(y_M: np.ndarray) -> np.ndarray:
            return np.full(form.outputs // form.targets, np.median(y_M))

        return self.value(self.statistics(answers_real(y, form, median)))


@dataclass(frozen=True, kw_only=True)
class MASE(MAE):
    """The mean absolute scaled error (Hyndman and Koehler 2006): MAE over that of the naive
    forecast on training, the task's `naive_error`."""

    name: ClassVar[str] = "mase"
    unit: ClassVar[str] = "MASE"
    margin: ClassVar[float] = 0.01
    decimals: ClassVar[int | None] = 4

    def statistics(self, p: Predictions) -> np.ndarray:
        assert p.form.naive_error is not None, "the task's check asks for it"
        return super().statistics(p) / (p.form.naive_error, 1.0)

    def fault(self, y: np.ndarray, form: TargetForm) -> str | None:
        if form.naive_error is not None and form.naive_error > 0:
            return None
        return f"mase needs the task's naive_error, a number above 0, got {form.naive_error}"


@dataclass(frozen=True, kw_only=True)
class Pinball(MeanMetric):
    """The pinball loss (Koenker and Bassett 1978), mean over scored targets and levels: an error of
    1 costs q where the answer is below the target, 1 - q above it."""

    name: ClassVar[str] = "pinball"
    unit: ClassVar[str] = "pinball loss"
    direction: ClassVar[Literal["max", "min"]] = "min"
    takes: ClassVar[tuple[Form, ...]] = ("quantiles",)
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def statistics(self, p: Predictions) -> np.ndarray:
        levels_Q = np.asarray(p.form.quantiles)
        short_NSDQ = p.targets[..., None] - p.quantiles_NSDQ
        costs_NSDQ = np.maximum(levels_Q * short_NSDQ, (levels_Q - 1) * short_NSDQ)
        costs_NSD = np.where(p.scored, costs_NSDQ.mean(3), 0.0)
        return np.stack([costs_NSD.sum((1, 2)), p.counts_N], axis=1)

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        def levels(y_M: np.ndarray) -> np.ndarray:
            return np.quantile(y_M, form.quantiles, method="inverted_cdf")

        return self.value(self.statistics(answers_real(y, form, levels)))
