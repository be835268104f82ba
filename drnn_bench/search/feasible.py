"""Which architectures a search space holds, and which of them a budget allows.

An architecture is here what a trial draws but for the learning rate; the budget gives the width.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drnn_bench.models.budget import Infeasible
from drnn_bench.search.space import SearchSpace, Value

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture
    from drnn_bench.tasks.task import Task

LARGEST = 50_000  # architectures that are told apart; a larger space counts as endless
WHOLE, SAMPLE = 1_000, 200  # a larger space than this is judged by so many of its architectures
EXAMPLES = 3  # refused architectures shown for each reason


@dataclass(frozen=True)
class Candidate:
    """One architecture of a space. `params`: what a trial is asked for to get it, the learning rate
    in the middle of its range; what is fixed is not asked for. `refusal`: why there is none."""

    params: dict[str, Value]
    options: dict[str, Value]
    refusal: Infeasible | None = None

    @property
    def words(self) -> str:
        pairs = self.params if self.refusal else self.options
        return " ".join(f"{k}={v}" for k, v in pairs.items() if k != "learning_rate")

    def fit(self, space: SearchSpace, task: Task, budget: int) -> Architecture:
        """Raises Infeasible."""
        if self.refusal is not None:
            raise self.refusal
        sizes = {"input_size": task.input_size, "output_size": task.output_size}
        spans = task.needed_spans
        return space.fit(self.options, budget=budget, length=task.length, spans=spans, **sizes)


@dataclass(frozen=True)
class Candidates:
    """The architectures of a space, in order, or a seeded sample of them in random order.

    `held` says how many there are, None where there is no end of them (an option that is a real
    number); then those here were drawn at random, as a search draws them.
    """

    shown: tuple[Candidate, ...]
    held: int | None

    @property
    def whole(self) -> bool:
        return len(self.shown) == self.held


def candidates(
    space: SearchSpace, length: int, *, whole: int = WHOLE, sample: int = SAMPLE
) -> Candidates:
    """All architectures of a space at a sequence length, or `sample` where it has over `whole`."""
    try:
        walked = tuple(itertools.islice(_walk(space, length), LARGEST + 1))
    except _Endless:
        walked = ()
    if not 0 < len(walked) <= LARGEST:
        return Candidates(tuple(_draws(space, length, sample)), None)
    if len(walked) > whole:
        return Candidates(tuple(random.Random(0).sample(walked, sample)), len(walked))
    return Candidates(walked, len(walked))


@dataclass(frozen=True)
class Refused:
    """The architectures refused for one reason: how many, and examples (architecture, message)."""

    reason: str
    count: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Feasible:
    """How many of the architectures tried meet a budget; `held` as in Candidates."""

    held: int | None
    tried: int
    feasible: int
    refused: tuple[Refused, ...]

    @property
    def whole(self) -> bool:
        return self.tried == self.held

    @property
    def share(self) -> float:
        return self.feasible / self.tried

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share in the whole space."""
        from drnn_bench.results.significance import share_interval

        if self.whole:
            return self.share, self.share
        return share_interval(self.feasible, self.tried)

    @property
    def words(self) -> str:
        if self.whole:
            return f"{self.feasible:,} of {self.held:,}"
        of = "draws" if self.held is None else f"{self.held:,}"
        return f"about {self.share:.0%} of {of}"


def count_feasible(
    space: SearchSpace, task: Task, budget: int, *, whole: int = WHOLE, sample: int = SAMPLE
) -> Feasible:
    """Tries the architectures of a space, or a sample, at a budget and a task's sizes."""
    tried = candidates(space, task.length, whole=whole, sample=sample)
    refused: dict[str, list[tuple[str, str]]] = {}
    for candidate in tried.shown:
        try:
            candidate.fit(space, task, budget)
        except Infeasible as refusal:
            refused.setdefault(refusal.reason, []).append((candidate.words, str(refusal)))
    groups = sorted(refused.items(), key=lambda group: -len(group[1]))
    return Feasible(
        held=tried.held,
        tried=len(tried.shown),
        feasible=len(tried.shown) - sum(map(len, refused.values())),
        refused=tuple(Refused(why, len(all_), tuple(all_[:EXAMPLES])) for why, all_ in groups),
    )


def to_text(found: Feasible, family: str, task: Task, budget: int) -> str:
    """What `bench ls space` prints."""
    held = f"over {LARGEST:,}" if found.held is None else f"{found.held:,}"
    lines = [f"{family} on {task.key} at {budget:,} parameters: {held} architectures"]
    if found.whole:
        lines.append(f"feasible: {found.feasible:,}, all of them tried")
    else:
        low, high = found.interval
        lines.append(
            f"feasible: {found.feasible:,} of {found.tried:,} tried at random, {found.share:.0%} "
            f"(95 % interval {low:.0%} to {high:.0%})"
        )
    for refused in found.refused:
        lines.append(f"refused: {refused.count:,}, {refused.reason}, such as")
        lines += [f"  {message}" for _, message in refused.examples]
    return "\n".join(lines)


def to_record(found: Feasible, family: str, task: Task, budget: int) -> dict[str, Any]:
    """The same as JSON values; `architectures` is null where the space is endless."""
    low, high = found.interval
    return {
        "family": family,
        "task": task.key,
        "length": task.length,
        "budget": budget,
        "architectures": found.held,
        "tried": found.tried,
        "feasible": found.feasible,
        "share": found.share,
        "share_low": low,
        "share_high": high,
        "refused": [
            {
                "reason": refused.reason,
                "count": refused.count,
                "examples": [{"architecture": a, "said": b} for a, b in refused.examples],
            }
            for refused in found.refused
        ],
    }


class _Endless(Exception):
    """The space has an option that is a real number."""


class _Walk:
    """Plays the part of an Optuna trial: takes the branches of `path`, then every first one."""

    def __init__(self, path: Sequence[int], learning_rate: Value):
        self._path, self._learning_rate = path, learning_rate
        self.taken: list[int] = []  # at each fork, the branch, and how many there are
        self.forks: list[int] = []
        self.params: dict[str, Value] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        if name == "learning_rate":
            self.params[name] = self._learning_rate
            return self._learning_rate
        fork = len(self.taken)
        self.taken.append(self._path[fork] if fork < len(self._path) else 0)
        self.forks.append(len(choices))
        self.params[name] = choices[self.taken[-1]]
        return self.params[name]

    def suggest_int(self, name: str, low: int, high: int, log: bool = False) -> Value:
        return self.suggest_categorical(name, range(low, high + 1))

    def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> Value:
        if name != "learning_rate":
            raise _Endless
        return self.suggest_categorical(name, ())


def _walk(space: SearchSpace, length: int) -> Iterator[Candidate]:
    """Every architecture once, in the order of the space's entries: the last varies fastest."""
    path: list[int] = []
    while True:
        trial = _Walk(path, _middle_rate(space))
        yield _candidate(space, length, trial, trial.params)
        path = trial.taken
        while path and path[-1] + 1 == trial.forks[len(path) - 1]:
            path.pop()
        if not path:
            return
        path[-1] += 1


def _draws(space: SearchSpace, length: int, count: int) -> Iterator[Candidate]:
    """What a random search would draw; an architecture may come more than once."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(count):
        trial = study.ask()
        drawn = _candidate(space, length, trial, {})
        rate = {"learning_rate": _middle_rate(space)} if "learning_rate" in trial.params else {}
        yield Candidate(trial.params | rate, drawn.options, drawn.refusal)


def _candidate(space: SearchSpace, length: int, trial: Any, params: dict[str, Value]) -> Candidate:
    try:
        options = space.options(trial, length)
    except Infeasible as refusal:
        return Candidate(params, {}, refusal)
    del options["learning_rate"]
    return Candidate(params, options)


def _middle_rate(space: SearchSpace) -> Value:
    return next(entry.middle for entry in space.entries if entry.name == "learning_rate")
