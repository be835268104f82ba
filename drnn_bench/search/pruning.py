"""When a trial is stopped early: where there is something to tell, and not on a plateau.

At a rung, a trial's value is held against a cut through the values of all trials that came so far.
It is stopped where its value is worse than the cut by more than d, and the cut is better than
guessing by more than d, with d the larger of the task's margin and two standard errors of the
validation metric. So nothing is stopped while nobody has learned anything, nor for a difference
that another validation set would turn round.

asha    successive halving (Li et al. 2020): the cut keeps the better half, at a quarter of the
        evaluations and at half of them
none    nothing is stopped
median  the median (Golovin et al. 2017) of the trials that ran to their end, from a quarter on
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

Cut = Callable[[Sequence[float]], float]  # of values that are best where largest


@dataclass(frozen=True)
class Scale:
    """What a difference of a task's metric means. `sign`: 1 where more is better, else -1."""

    sign: int
    margin: float
    guessing: float


class Pruner(optuna.pruners.BasePruner):
    """`standard_error` is that of the value last reported: set it before `should_prune`."""

    def __init__(self, scale: Scale, rungs: Sequence[int], cut: Cut, *, complete: bool, least: int):
        """`complete`: only trials that ran to their end count; `least`: so many must have."""
        self.scale, self.rungs, self.cut = scale, frozenset(rungs), cut
        self.complete, self.least = complete, least
        self.standard_error = 0.0
        # Rung -> trial -> value, of all that came so far. It is read from the storage once: every
        # later value comes by here, and a reading costs as much as there are trials that run.
        self._seen: dict[int, dict[int, float]] | None = None

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        rung = trial.last_step
        if rung not in self.rungs:
            return False
        value = trial.intermediate_values[rung]
        others = self._others(study, trial, rung)
        if len(others) < self.least:
            return False
        values = others if self.complete else [*others, value]
        return self.worse(value, values)

    def _others(self, study: optuna.Study, trial: FrozenTrial, rung: int) -> list[float]:
        """The values of the other trials at a rung."""
        if self.complete:
            done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            values = [(t.number, t.intermediate_values.get(rung)) for t in done]
            return [x for number, x in values if x is not None and number != trial.number]
        if self._seen is None:
            trials = study.get_trials(deepcopy=False)
            self._seen = {
                r: {
                    t.number: t.intermediate_values[r] for t in trials if r in t.intermediate_values
                }
                for r in self.rungs
            }
        seen = self._seen[rung]
        seen[trial.number] = trial.intermediate_values[rung]
        return [value for number, value in seen.items() if number != trial.number]

    def worse(self, value: float, values: Sequence[float]) -> bool:
        """Whether a value is surely on the wrong side of the cut through all."""
        sign, d = self.scale.sign, max(self.scale.margin, 2 * self.standard_error)
        cut = self.cut([sign * v for v in values])
        return cut - sign * value > d and cut - sign * self.scale.guessing > d


def better_half(values: Sequence[float]) -> float:
    """The worst value of the better half; of one value, itself."""
    return sorted(values, reverse=True)[max(0, len(values) // 2 - 1)]


def make_pruner(name: str, scale: Scale, evaluations: int, startup: int) -> Pruner:
    """`evaluations`: of a whole trial."""
    quarter = max(1, evaluations // 4)
    if name == "asha":
        rungs = [r for r in (quarter, 2 * quarter) if r < evaluations]
        return Pruner(scale, rungs, better_half, complete=False, least=1)
    if name == "median":
        rungs = range(quarter, evaluations)
        return Pruner(scale, rungs, statistics.median, complete=True, least=startup)
    return Pruner(scale, (), better_half, complete=False, least=1)
