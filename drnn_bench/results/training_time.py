"""What a family's finals reached in how much training, from the curves in their rows alone.

A family's curve is the mean over its finals at each evaluation, straight between two of them, from
guessing at step 0 where that is known. Seconds are shared evenly among the steps. They are those of
one core, evaluations included, with other trainers beside it.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Row = dict[str, Any]
Curve = list[list[float]]  # [step, value] of each evaluation


@dataclass(frozen=True)
class MeanCurve:
    """The mean validation of a family's finals as they train.

    `steps` rise, `values` belong to them, `seconds` are core seconds of the whole training, mean
    over the finals. At least one step.
    """

    steps: tuple[float, ...]
    values: tuple[float, ...]
    seconds: float
    direction: str  # max or min, the better end

    def at_step(self, step: float) -> float:
        """The value after so many steps; before the first that is known, the first one's."""
        return float(np.interp(step, self.steps, self.values))

    def at_seconds(self, seconds: float) -> float:
        """The value after so many core seconds."""
        return self.at_step(self.steps[-1] * seconds / self.seconds if self.seconds else 0.0)

    def seconds_to(self, target: float) -> float | None:
        """Core seconds until the curve first is as good as the target; None where it never is."""
        sign = 1 if self.direction == "max" else -1
        short = [sign * (target - value) for value in self.values]  # above 0: not there yet
        if short[0] <= 0:
            return self._seconds(self.steps[0])
        for (a, b), (before, after) in zip(
            itertools.pairwise(self.steps), itertools.pairwise(short), strict=True
        ):
            if after <= 0:
                return self._seconds(a + (b - a) * before / (before - after))
        return None

    def _seconds(self, step: float) -> float:
        return self.seconds * step / self.steps[-1]

    @property
    def last_quarter(self) -> float | None:
        """By how much the value got better over the last quarter of the steps; None where the curve
        begins later."""
        at = 0.75 * self.steps[-1]
        if self.steps[0] > at:
            return None
        change = self.values[-1] - self.at_step(at)
        return change if self.direction == "max" else -change


def mean_curve(study: Row, finals: Sequence[Row], diverged: int = 0) -> MeanCurve | None:
    """The curve of a study's complete finals, one a seed; None where none has one.

    `diverged` finals count at each step as the worse of guessing and the worst of the others, as
    they do in the test mean.
    """
    curves = alike([row["curve"] for row in finals if row.get("curve")])
    if not curves:
        return None
    guessing, worse = study.get("guessing"), min if study["direction"] == "max" else max
    points: list[tuple[float, float]] = []
    for at in zip(*curves, strict=True):
        values = [value for _, value in at]
        if diverged and guessing is not None:
            values += [worse(guessing, *values)] * diverged
        points.append((at[0][0], statistics.mean(values)))
    points.sort()
    if guessing is not None and points[0][0] > 0:
        points.insert(0, (0.0, guessing))
    if points[-1][0] <= 0:  # an edited row
        return None
    seconds = statistics.mean(row["train_seconds"] * row["threads"] for row in finals)
    steps, values = zip(*points, strict=True)
    return MeanCurve(steps, values, seconds, study["direction"])


def alike(curves: Sequence[Curve]) -> list[Curve]:
    """The curves that were evaluated at the usual steps: all, unless a record was edited."""
    steps = [tuple(step for step, _ in curve) for curve in curves]
    usual = max(steps, key=steps.count, default=None)
    return [curve for curve, at in zip(curves, steps, strict=True) if at == usual]
