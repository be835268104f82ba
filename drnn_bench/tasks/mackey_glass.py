"""The Mackey-Glass series (Mackey and Glass 1977), forecast `horizon` units of time ahead.

    x'(t) = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t)

It is chaotic from about tau = 17 on. x is 1.2 at all times up to 0; the equation is integrated by
the fourth-order Runge-Kutta method in steps of 0.1 and sampled once a unit, and the first 1,000
units are left out. A sequence is a window of T samples, its target the sample `horizon` units after
the last of them. The splits follow one another in time: 10,000 / 1,000 / 2,000 windows, and no
sample is in two splits. Windows of training begin at every unit, the others at every fifth, since
neighbours are nearly alike.

The metric is the root mean squared error, in the unit of x. With tau = 17 and horizon = 15 the mean
of training costs 0.226 on the test split and
persistence, which repeats the last sample, 0.366. MASE stands beside
it: the mean absolute error over that of persistence on training.

Legend: N windows, T samples of a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from drnn_bench.tasks.task import Arrays, Task, check_range

START = 1.2  # x before the integration begins
STEPS_PER_UNIT = 10
LEFT_OUT = 1_000  # units
WINDOWS = {"train": (10_000, 1), "validation": (1_000, 5), "test": (2_000, 5)}  # and their stride


@dataclass(frozen=True, kw_only=True)
class MackeyGlass(Task):
    T: int = 128
    tau: int = 17
    horizon: int = 15

    name: ClassVar[str] = "mackey_glass"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "none needed: the data is generated"
    summary: ClassVar[str] = "forecast a chaotic series (generated; options T, tau, horizon)"
    loss_function: ClassVar[str] = "mse"
    metric: ClassVar[str] = "rmse"
    other_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2", "mase")
    target_offset: ClassVar[float] = 1.0  # the rest point of the equation
    target_scale: ClassVar[float] = 0.25  # about the standard deviation
    margin: ClassVar[float] = 0.001  # pyright: ignore[reportIncompatibleMethodOverride]
    scored: ClassVar[int] = 1
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1
    default_budget: ClassVar[int] = 2_000
    default_steps: ClassVar[int] = 1_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "T", 2, 10_000)
        check_range(self, "tau", 5, 1_000)  # up to 4 the series comes to rest at 1
        check_range(self, "horizon", 1, 10_000)

    @property
    def length(self) -> int:
        return self.T

    @property
    def naive_error(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The mean absolute error of persistence over the training windows."""
        last_N = self._places["train"] + self.T - 1
        x = self._series
        return float(np.abs(x[last_N + self.horizon] - x[last_N]).mean())

    def load(self, data_dir: str | None) -> Arrays:
        x = (self._series - self.target_offset) / self.target_scale
        arrays = {}
        for split, first_N in self._places.items():
            x_NT = x[first_N[:, None] + np.arange(self.T)].astype(np.float32)
            y_N = self._series[first_N + self.T - 1 + self.horizon].astype(np.float32)
            arrays[split] = (x_NT, y_N)
        return arrays

    @property
    def _places(self) -> dict[str, np.ndarray]:
        """Of each split the first sample of every window, [N]."""
        places, free = {}, 0
        for split, (count, stride) in WINDOWS.items():
            places[split] = free + stride * np.arange(count)
            free = int(places[split][-1]) + self.T + self.horizon
        return places

    @property
    def _series(self) -> np.ndarray:
        last = int(self._places["test"][-1]) + self.T - 1 + self.horizon
        return mackey_glass(self.tau, LEFT_OUT + last + 1)[LEFT_OUT:]


@lru_cache(maxsize=2)
def mackey_glass(tau: int, units: int) -> np.ndarray:
    """The series x(0), x(1), ..., x(units - 1), float64; read-only, for it is shared.

    The delayed x half-way between two steps is the mean of theirs. Powers are products: sums and
    products are the same to the last bit on every machine, and a chaotic series would show it if
    they were not.
    """
    h, delay, steps = 1 / STEPS_PER_UNIT, tau * STEPS_PER_UNIT, (units - 1) * STEPS_PER_UNIT
    x = [START] * (delay + 1)  # x[k] is x at the time k h - tau
    for first in range(0, steps, delay):  # what was tau ago is known for so many steps
        delayed = np.array(x[first:])
        growth, between = _growth(delayed), _growth((delayed[1:] + delayed[:-1]) / 2)
        now = x[-1]
        for g1, g2, g3 in zip(growth.tolist(), between.tolist(), growth[1:].tolist(), strict=False):
            k1 = g1 - 0.1 * now
            k2 = g2 - 0.1 * (now + h / 2 * k1)
            k3 = g2 - 0.1 * (now + h / 2 * k2)
            k4 = g3 - 0.1 * (now + h * k3)
            now += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            x.append(now)
    series = np.array(x[delay : delay + steps + 1 : STEPS_PER_UNIT])
    series.flags.writeable = False
    return series


def _growth(delayed: np.ndarray) -> np.ndarray:
    square = delayed * delayed
    eighth = square * square * square * square
    return 0.2 * delayed / (1 + eighth * square)
