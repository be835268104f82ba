"""What a metric is: numbers of each example, and what they come to over a split.

A metric reads a split batch by batch. `statistics` gives each example's numbers; those of all
batches together give the value. So a value is that of the whole split, whatever the batches were.

Legend: N examples, K statistics of an example.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.metrics.forms import Form, Predictions, TargetForm
from drnn_bench.metrics.names import METRIC
from drnn_bench.plugins.kinds import Extension, Kind


@dataclass(frozen=True)
class MetricFacts:
    """What must be known of a metric to show and to rank its values.

    unit       as a column's title has it
    direction  which end is the better one
    scale      values are shown multiplied by it: 100 for percent
    margin     the smallest difference that anybody would choose a net for
    best       the best value there is; None where there is no end
    decimals   that are shown; None: five significant digits
    """

    unit: str
    direction: Literal["max", "min"]
    scale: float = 1.0
    margin: float = 0.0
    best: float | None = None
    decimals: int | None = None

    @property
    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Metric(Extension):
    """Base of the metrics. It has no options.

    takes   the forms of outputs that it reads (see `forms`)
    bounds  the lowest and the highest value that it can have
    """

    kind_of_extension: ClassVar[Kind] = METRIC

    name: ClassVar[str]
    unit: ClassVar[str]
    direction: ClassVar[Literal["max", "min"]]
    takes: ClassVar[tuple[Form, ...]]
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    scale: ClassVar[float] = 1.0
    margin: ClassVar[float] = 0.0
    decimals: ClassVar[int | None] = None

    def statistics(self, p: Predictions) -> np.ndarray:
        """The numbers [N, K] of each example; K is the same for all batches of a split."""
        raise NotImplementedError

    def value(self, s_NK: np.ndarray) -> float:
        """The value over a split, from the statistics of all of its examples."""
        raise NotImplementedError

    def outcomes(self, s_NK: np.ndarray) -> np.ndarray:
        """What each example adds to the value [N], which is their mean. Nets are compared by
        them, example by example."""
        raise NotImplementedError

    def guess(self, y: np.ndarray, form: TargetForm) -> float:
        """The value of the best constant answer on training targets [N, S] or [N, S, D]."""
        raise NotImplementedError

    def fault(self, y: np.ndarray, form: TargetForm) -> str | None:
        """Why a split with these targets has no value, in words; None where it has one."""
        return None

    @classmethod
    def facts(cls) -> MetricFacts:
        best = cls.bounds[1] if cls.direction == "max" else cls.bounds[0]
        return MetricFacts(
            unit=cls.unit,
            direction=cls.direction,
            scale=cls.scale,
            margin=cls.margin,
            best=best if math.isfinite(best) else None,
            decimals=cls.decimals,
        )

    @classmethod
    def check_class(cls, where: str) -> None:
        if cls.direction not in ("max", "min"):
            raise UserError(f"{where}: direction must be max or min, got {cls.direction!r}")
        known = ("classes", "binary", "real", "quantiles")
        wrong = [form for form in cls.takes if form not in known] if cls.takes else ["nothing"]
        if isinstance(cls.takes, str) or wrong:
            raise UserError(
                f"{where}: takes must be a tuple of {', '.join(known)}, got {cls.takes!r}"
            )
        numbers = (*cls.bounds, cls.scale, cls.margin)
        if any(not isinstance(x, int | float) or math.isnan(x) for x in numbers):
            raise UserError(f"{where}: bounds, scale and margin must be numbers, got {numbers}")


@dataclass(frozen=True, kw_only=True)
class MeanMetric(Metric):
    """A mean over scored targets: statistics are an example's sum and its count."""

    def value(self, s_NK: np.ndarray) -> float:
        return float(s_NK[:, 0].sum() / s_NK[:, 1].sum())

    def outcomes(self, s_NK: np.ndarray) -> np.ndarray:
        return s_NK[:, 0] * (len(s_NK) / s_NK[:, 1].sum())


@dataclass(frozen=True, kw_only=True)
class TotalsMetric(Metric):
    """A smooth function of the statistics' totals.

    Its outcomes are by the delta method (Efron and Tibshirani 1993, ch. 21): with g the function's
    gradient at the totals, outcome_i = value + N g (s_i - mean s). The gradient is taken by central
    differences.
    """

    def of_totals(self, totals_K: np.ndarray) -> float:
        raise NotImplementedError

    def value(self, s_NK: np.ndarray) -> float:
        return self.of_totals(s_NK.sum(0))

    def outcomes(self, s_NK: np.ndarray) -> np.ndarray:
        totals_K = s_NK.sum(0)
        gradient_K = np.zeros(len(totals_K))
        for k in np.flatnonzero(totals_K):  # at 0, no example differs from the mean
            ends, step = np.repeat(totals_K[None], 2, axis=0), 1e-6 * abs(totals_K[k])
            ends[:, k] += (step, -step)
            gradient_K[k] = (self.of_totals(ends[0]) - self.of_totals(ends[1])) / (2 * step)
        centred_NK = s_NK - totals_K / len(s_NK)
        return self.value(s_NK) + len(s_NK) * (centred_NK @ gradient_K)
