"""What a search is worth: its best so far against the expected best of as many random draws.

A random twin of a search is one of the same task, data, budget, steps, protocol, family, recipe and
space whose sampler is `random`. The trials of a twin are draws from one distribution, so their
expected best after k of them is known (Dodge et al. 2019). It is taken without replacement, which
is unbiased (Tang et al. 2020): of n values,

    P(the best of k is at most the i-th smallest) = C(i, k) / C(n, k)

A trial that was pruned, or diverged, has no value at full steps. It counts as no better than the
worst complete trial of its study: it adds nothing to a best so far, and a twin's are not left out.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drnn_bench.results.averages import mean_of_all
from drnn_bench.results.board_line import GROUP

Row = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """The best of k draws: its mean and standard deviation."""

    mean: float
    deviation: float


def expected_best(values: Sequence[float], k: int, direction: str) -> Expected:
    """Of k draws without replacement from n values, 1 <= k <= n."""
    sign = 1.0 if direction == "max" else -1.0
    ordered = np.sort(sign * np.asarray(values, dtype=np.float64))
    # C(i, k) / C(n, k), from i = n down: each is (i + 1 - k) / (i + 1) of the one above.
    above = np.arange(len(ordered), 0, -1)
    at_most = np.cumprod([1.0, *np.maximum(above - k, 0) / above])[::-1]
    share = np.diff(at_most)
    mean = float(share @ ordered)
    variance = float(share @ (ordered - mean) ** 2)
    return Expected(sign * mean, math.sqrt(variance))


@dataclass(frozen=True)
class Trials:
    """The trials of one study, in the order of their places. A value is None where the trial has
    none at full steps; seconds are those of its training."""

    values: tuple[float | None, ...]
    seconds: tuple[float, ...] | None  # None where the record lacks any
    direction: str

    @property
    def running_best(self) -> list[float | None]:
        """The best after each trial; None before the first complete one."""
        better = max if self.direction == "max" else min

        def best(known: float | None, value: float | None) -> float | None:
            return value if known is None else known if value is None else better(known, value)

        return list(itertools.accumulate(self.values, best))

    @property
    def counted(self) -> list[float]:
        """The values, those without one as bad as the worst; empty where no trial is complete."""
        known = [value for value in self.values if value is not None]
        if not known:
            return []
        worst = min(known) if self.direction == "max" else max(known)
        return [worst if value is None else value for value in self.values]


def trials_of(study: Row) -> Trials:
    history = study.get("history") or [trial | {"seconds": None} for trial in study["complete"]]
    history = sorted(history, key=lambda trial: trial["index"])
    seconds = [trial["seconds"] for trial in history]
    known = None if None in seconds else tuple(seconds)
    return Trials(tuple(trial["value"] for trial in history), known, study["direction"])


@dataclass(frozen=True)
class Worth:
    """Searches of one kind against their random twin.

    `searches` differ in the seed alone; `draws` are the values of the twin's trials and
    `draw_seconds` the mean seconds of one, None where not recorded.
    """

    direction: str
    searches: tuple[Trials, ...]
    draws: tuple[float, ...]
    draw_seconds: float | None

    @property
    def trials(self) -> int:
        """After how many trials they are compared: as many as each search and the twin have."""
        return min(len(self.draws), *(len(x.values) for x in self.searches))

    def found(self, k: int) -> float | None:
        """The best after k trials, mean over the searches; None before all have a complete one."""
        return mean_of_all([x.running_best[k - 1] for x in self.searches])

    def by_chance(self, k: int) -> Expected:
        return expected_best(self.draws, k, self.direction)

    @property
    def gain(self) -> float | None:
        """By how much the searches are better after `trials` trials."""
        return self._gain(self.found(self.trials), self.trials)

    @property
    def seconds(self) -> float | None:
        """At how many seconds of training they are compared: as many as each search and the twin
        took; None where a record lacks them."""
        totals = [sum(x.seconds) for x in self.searches if x.seconds is not None]
        if self.draw_seconds is None or len(totals) < len(self.searches):
            return None
        return min(*totals, self.draw_seconds * len(self.draws))

    @property
    def gain_at_seconds(self) -> float | None:
        """By how much the searches are better at `seconds`; None where a search had no complete
        trial by then, or where not one random draw ends in that time."""
        limit = self.seconds
        if limit is None or not self.draw_seconds:
            return None
        found = []
        for search in self.searches:
            assert search.seconds is not None, "`seconds` says so"
            ends = itertools.accumulate(search.seconds)
            ended = sum(end <= limit * (1 + 1e-9) for end in ends)
            found.append(search.running_best[ended - 1] if ended else None)
        draws = int(limit / self.draw_seconds + 1e-9)
        return self._gain(mean_of_all(found), draws) if draws else None

    def _gain(self, found: float | None, draws: int) -> float | None:
        if found is None:
            return None
        difference = found - self.by_chance(draws).mean
        return difference if self.direction == "max" else -difference


def worth(study: Row, studies: Sequence[Row]) -> Worth | None:
    """What a search's kind is worth; None for a random search and where it has no random twin.

    Random searches that differ in the seed alone are one twin, with the draws of all. Where twins
    differ in the pruner, the one of most draws counts.
    """
    if study["sampler"] == "random":
        return None
    alike = [other for other in studies if _conditions(other) == _conditions(study)]
    searches = [trials_of(other) for other in alike if _kind(other) == _kind(study)]
    twins: dict[str, list[Trials]] = {}
    for other in sorted(alike, key=lambda row: row["study"]):
        if other["sampler"] == "random" and not other.get("warm", 0):
            twins.setdefault(other["pruner"], []).append(trials_of(other))
    draws = {pruner: [v for x in found for v in x.counted] for pruner, found in twins.items()}
    pruner = max(draws, key=lambda pruner: (len(draws[pruner]), pruner), default=None)
    if pruner is None or not draws[pruner] or not all(x.values for x in searches):
        return None
    counted = [x for x in twins[pruner] if x.counted]
    took = [seconds for x in counted for seconds in x.seconds or (None,)]
    known = [seconds for seconds in took if seconds is not None]
    mean = statistics.mean(known) if len(known) == len(took) else None
    return Worth(study["direction"], tuple(searches), tuple(draws[pruner]), mean)


def _conditions(study: Row) -> tuple:
    plugins = {kind: code["sha256"] for kind, code in study.get("plugins", {}).items()}
    group = tuple({"protocol": 1, **study}[key] for key in GROUP)
    return *group, study["family"], study["recipe"], study["space"], plugins


def _kind(study: Row) -> tuple:
    return study["sampler"], study["pruner"], study.get("warm", 0)
