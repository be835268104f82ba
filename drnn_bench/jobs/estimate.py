"""How long a plan takes, from the pace of its studies, and what would make it shorter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drnn_bench.jobs.progress import duration
from drnn_bench.search.candidates import candidate_trainings
from drnn_bench.search.study import STARTUP, StudySpec

if TYPE_CHECKING:
    from drnn_bench.speed.pace import Pace

LONG = 3600.0  # seconds of expected work above which a run at a terminal asks first
PRUNED_SHARE = 0.75  # of its full steps, which a trial that may be stopped is expected to run


@dataclass(frozen=True)
class Estimate:
    """A plan's studies, each with its trials that are done and its pace (None where not known),
    and how many trainers there are."""

    studies: Sequence[tuple[StudySpec, int, Pace | None]]
    trials: int
    seeds: int
    trainers: int

    def core_seconds(self, trials: int | None = None, steps: int | None = None) -> list[float]:
        """Of each study: its trials, candidates and finals. With other steps it is another study,
        of which nothing is done yet."""
        asked = trials or self.trials
        return [
            _trainings(spec, asked, 0 if steps else done, self.seeds)
            * (pace.training(spec, steps) if pace else 0.0)
            for spec, done, pace in self.studies
        ]

    def seconds(self, trials: int | None = None, steps: int | None = None) -> float:
        return sum(self.core_seconds(trials, steps)) / max(1, self.trainers)

    def shorter(self) -> str:
        """The options that would bring a long plan to an hour; empty where none would."""
        most = max(spec.steps for spec, _, _ in self.studies)
        steps = _largest(_round_numbers(most), lambda n: self.seconds(steps=n))
        # Fewer trials than this are hardly a search.
        trials = _largest(range(self.trials - 1, STARTUP, -1), lambda n: self.seconds(trials=n))
        ways = [f"--steps {steps} ({duration(self.seconds(steps=steps))})"] if steps else []
        ways += [f"--trials {trials} ({duration(self.seconds(trials=trials))})"] if trials else []
        return " or ".join(ways)


def _trainings(spec: StudySpec, trials: int, done: int, seeds: int) -> float:
    share = 1.0 if spec.pruner == "none" else PRUNED_SHARE
    whole = min(trials, STARTUP)  # start-up trials are never stopped
    later = trials - whole
    again = candidate_trainings(whole + round(later * share))
    return max(0, whole - done) + min(later, max(0, trials - done)) * share + again + seeds


def _largest(numbers: Sequence[int], seconds: Callable[[int], float]) -> int | None:
    """The first of falling numbers that takes no longer than LONG."""
    return next((n for n in numbers if seconds(n) <= LONG), None)


def _round_numbers(most: int) -> list[int]:
    """Numbers of one digit and zeros below `most`, the largest first; not below 10."""
    return [
        digit * 10**zeros
        for zeros in range(len(str(most)), 0, -1)
        for digit in range(9, 0, -1)
        if 10 <= digit * 10**zeros < most
    ]
