"""Candidates: the best trials of a search, of which one becomes the finalist.

The best of many values is also the luckiest: on other seeds it is worse. So a few of the best are
trained again, each on the same fresh seeds, and the best mean over these decides. The value that
made it a candidate does not count.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from optuna.trial import FrozenTrial

from drnn_bench.search.study import StudySpec, seed_for
from drnn_bench.search.trial_facts import TrialFacts, ranked_trials

MOST = 3  # candidates of a search
SEEDS = 3  # on which each of them is trained again
EVERY = 4  # complete trials for one candidate: choosing among few needs no second look


def candidate_count(complete: int) -> int:
    """How many candidates a search of so many complete trials has. One is the finalist at once."""
    return max(1, min(MOST, complete // EVERY))


def candidate_trainings(complete: int) -> int:
    """How many trainings the candidates of a search of so many complete trials need."""
    count = candidate_count(complete)
    return SEEDS * count if count > 1 else 0


def candidate_trials(trials: Sequence[FrozenTrial], direction: str) -> list[FrozenTrial]:
    """The best complete trials, the best first and the earliest of equals, no two of the same
    architecture and learning rate; empty where no trial is complete."""
    ranked = ranked_trials(trials, direction)
    distinct: dict[str, FrozenTrial] = {}
    for trial in ranked:
        facts = TrialFacts.of(trial)
        net = json.dumps([facts.config, facts.learning_rate], sort_keys=True)
        distinct.setdefault(net, trial)
    return list(distinct.values())[: candidate_count(len(ranked))]


def candidate_seed(spec: StudySpec, number: int) -> int:
    """The seed number `number` (from 0) of every candidate: never one of the search's trials."""
    return seed_for(spec.seed, "candidate", number)


def choose(
    validations: Sequence[Sequence[float | None]], parameters: Sequence[int], direction: str
) -> int:
    """Which candidate becomes the finalist: the best mean validation, of equal ones the fewest
    parameters. A candidate that diverged on a seed (None) is worse than any that did not."""
    sign = -1 if direction == "max" else 1

    def order(number: int) -> tuple[float, int, int]:
        values = [math.inf if v is None else sign * v for v in validations[number]]
        return sum(values) / len(values), parameters[number], number

    return min(range(len(validations)), key=order)
