"""What a search still owes, computed from its trials and from nothing else.

A place without a complete, pruned, running or waiting trial is open. If its last trial was wholly
drawn and may be tried again, its next trial has the same parameters, so that a killed driver or
trainer changes nothing. Otherwise its next trial is drawn afresh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from drnn_bench.execution.carry import LOSSES
from drnn_bench.search.trial_facts import TrialFacts, holds_place, place_of

RETRIES = 2  # of a draw whose training raised


@dataclass(frozen=True)
class OpenPlace:
    """A place without a trial. `attempt` counts the draws it has used up: refused ones, and those
    that failed for good."""

    place: int
    attempt: int
    params: dict[str, Any] | None = None  # of the draw that is asked again; None: draw afresh
    warm: bool = False  # they are an expert's


def next_place(trials: list[FrozenTrial], target: int) -> OpenPlace | None:
    """The place of the next trial: of the first one that waits, else the lowest open place.
    None where `target` places are filled or being filled."""
    for trial in trials:
        if trial.state == TrialState.WAITING:
            return open_place(trials, place_of(trial))
    held = {place_of(trial) for trial in trials if holds_place(trial)}
    if len(held) >= target:
        return None
    return open_place(trials, next(place for place in range(target) if place not in held))


def open_place(trials: list[FrozenTrial], place: int) -> OpenPlace:
    """The state of one place, from its trials in the order they were made."""
    attempt, failures, losses, last = 0, 0, 0, None
    for trial in trials:
        facts = TrialFacts.of(trial)
        if facts.place != place or trial.state in (TrialState.RUNNING, TrialState.WAITING):
            continue
        if facts.reason is not None:
            failures += 1 if facts.again else RETRIES + 1
        losses += facts.lost is not None
        if facts.infeasible is not None or failures > RETRIES or losses >= LOSSES:
            attempt, failures, losses, last = attempt + 1, 0, 0, None
        elif trial.state == TrialState.FAIL and facts.config is not None:
            last = trial
    if last is None:
        return OpenPlace(place, attempt)
    return OpenPlace(place, attempt, dict(last.params), TrialFacts.of(last).warm)
