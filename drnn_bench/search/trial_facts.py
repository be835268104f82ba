"""What a trial's attributes say of it, and what the trials of a search add up to.

A trial has a place in the search (0, 1, ...), which decides its random draws and its training
seed. A complete or pruned trial fills its place. A diverged one is stored as pruned. A trial that
failed, or whose trainer was lost, leaves its place open (see `places`). An infeasible draw never
fills a place: it is stored as pruned with the attribute `infeasible`, because told as failed it
would teach the sampler nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState


@dataclass(frozen=True)
class TrialFacts:
    """What a trial's attributes say: `draw` is written when it is drawn, `outcome` at its end.

    (Until version 0.1 each fact was an attribute of its own, and `place` was called `index`.)
    """

    place: int | None = None
    startup: bool = False
    warm: bool = False
    duplicate: bool = False
    architecture: str = ""
    config: dict[str, Any] | None = None  # None: the trial was never wholly drawn
    learning_rate: float | None = None
    width: int | None = None
    parameters: int | None = None
    mrl: float | str | None = None
    infeasible: str | None = None
    diverged: str | None = None
    reason: str | None = None  # why it failed by itself
    again: bool = True  # whether the same draw may come through another time
    lost: str | None = None  # how its trainer ended
    seconds: float = 0.0  # of training

    @classmethod
    def of(cls, trial: FrozenTrial | Trial) -> TrialFacts:
        attrs = trial.user_attrs
        facts = {**attrs, **attrs.get("draw", {}), **attrs.get("outcome", {})}
        facts.setdefault("place", facts.get("index"))
        return cls(**{f.name: facts[f.name] for f in fields(cls) if f.name in facts})


def place_of(trial: FrozenTrial) -> int:
    """A trial's place, -1 where it has none: somebody else has made it."""
    place = TrialFacts.of(trial).place
    return -1 if place is None else place


FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def fills_place(trial: FrozenTrial) -> bool:
    """Whether a trial has ended in its place of the search."""
    return trial.state in FINISHED and TrialFacts.of(trial).infeasible is None


def holds_place(trial: FrozenTrial) -> bool:
    """Whether a trial fills a place of the search, or is about to."""
    return trial.state != TrialState.FAIL and TrialFacts.of(trial).infeasible is None


@dataclass(frozen=True)
class TrialCounts:
    """How far a study is. `pruned` counts the diverged among them, `done` is complete + pruned.
    `failed` are those that raised; `lost` are those whose trainer died."""

    complete: int = 0
    pruned: int = 0
    diverged: int = 0
    failed: int = 0
    lost: int = 0
    infeasible: int = 0
    duplicate: int = 0
    running: int = 0
    waiting: int = 0

    @property
    def done(self) -> int:
        return self.complete + self.pruned

    @property
    def taken(self) -> int:
        """Places of the search that are filled or being filled."""
        return self.done + self.running + self.waiting

    @property
    def counts(self) -> dict[str, int]:
        """As a study's row has them."""
        names = ("complete", "pruned", "diverged", "failed", "infeasible", "duplicate")
        return {name: getattr(self, name) for name in names}


def count_trials(trials: list[FrozenTrial]) -> TrialCounts:
    pairs = [(trial.state, TrialFacts.of(trial)) for trial in trials]
    real = [(state, facts) for state, facts in pairs if facts.infeasible is None]
    states = [state for state, _ in real]
    return TrialCounts(
        complete=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        diverged=sum(facts.diverged is not None for _, facts in real),
        failed=sum(facts.reason is not None for _, facts in real),
        lost=sum(facts.lost is not None for _, facts in real),
        infeasible=len(pairs) - len(real),
        duplicate=sum(facts.duplicate for state, facts in real if state in FINISHED),
        running=states.count(TrialState.RUNNING),
        waiting=states.count(TrialState.WAITING),
    )


def ranked_trials(trials: Sequence[FrozenTrial], direction: str) -> list[FrozenTrial]:
    """The complete trials, the best value first, the earliest of equals."""
    sign = -1 if direction == "max" else 1
    complete = [
        (sign * t.value, place_of(t), t.number, t)
        for t in trials
        if t.state == TrialState.COMPLETE and t.value is not None
    ]
    return [trial for *_, trial in sorted(complete)]


def best_trial(trials: Sequence[FrozenTrial], direction: str) -> FrozenTrial | None:
    return next(iter(ranked_trials(trials, direction)), None)
