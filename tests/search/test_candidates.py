from __future__ import annotations

import statistics

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from drnn_bench.search.candidates import (
    SEEDS,
    candidate_count,
    candidate_seed,
    candidate_trainings,
    candidate_trials,
    choose,
)
from drnn_bench.search.study import seed_for
from drnn_bench.search.trial import trial_seed
from tests.support.world import World


def trial(place: int, value: float | None, depth: int = 1, state=TrialState.COMPLETE):
    draw = {"place": place, "config": {"depth": depth}, "learning_rate": 0.01}
    return create_trial(state=state, value=value, user_attrs={"draw": draw})


def places(trials: list[optuna.trial.FrozenTrial], direction: str = "max") -> list[int]:
    return [t.user_attrs["draw"]["place"] for t in candidate_trials(trials, direction)]


def test_one_candidate_for_four_complete_trials_and_three_at_most():
    assert [candidate_count(n) for n in (0, 1, 7, 8, 11, 12, 1000)] == [1, 1, 1, 2, 2, 3, 3]
    assert [candidate_trainings(n) for n in (1, 7, 8, 12)] == [0, 0, 2 * SEEDS, 3 * SEEDS]


@pytest.mark.parametrize(("direction", "expected"), [("max", [11, 10, 9]), ("min", [0, 1, 2])])
def test_the_best_are_taken_whichever_way_the_metric_goes(direction, expected):
    trials = [trial(place, float(place), depth=place) for place in range(12)]
    assert places(trials, direction) == expected


def test_no_two_candidates_are_one_net_at_one_rate():
    values = [0.9, 0.8, 0.7, *[0.1] * 9]
    depths = [1, 1, 2, *range(3, 12)]
    trials = [trial(i, v, d) for i, (v, d) in enumerate(zip(values, depths, strict=True))]
    assert places(trials) == [0, 2, 3]


def test_only_complete_trials_count():
    trials = [trial(i, 0.5, i) for i in range(8)]
    trials += [trial(9, None, 9, TrialState.PRUNED), trial(10, None, 10, TrialState.FAIL)]
    assert places(trials) == [0, 1]
    assert places([trial(0, None, state=TrialState.FAIL)]) == []


values_of = st.lists(st.none() | st.floats(0, 1, width=16), min_size=SEEDS, max_size=SEEDS)


@given(st.lists(st.tuples(values_of, st.integers(1, 3)), min_size=1, max_size=3))
def test_the_chosen_one_has_the_best_mean_and_of_equals_the_fewest_parameters(candidates):
    validations, parameters = [v for v, _ in candidates], [p for _, p in candidates]
    chosen = choose(validations, parameters, "max")

    def mean(values):
        return -1.0 if None in values else statistics.fmean(values)

    best = max(map(mean, validations))
    assert mean(validations[chosen]) == pytest.approx(best)
    equal = [
        p
        for v, p in candidates
        if sum(x or 0 for x in v) == sum(x or 0 for x in validations[chosen])
        and (None in v) == (None in validations[chosen])
    ]
    assert parameters[chosen] == min(equal)
    negative = [[None if x is None else -x for x in v] for v in validations]
    assert choose(negative, parameters, "min") == chosen


def test_candidates_train_on_seeds_of_their_own(tmp_path):
    spec = World(tmp_path).plan.specs[0]
    candidates = {candidate_seed(spec, i) for i in range(SEEDS)}
    finals = {seed_for(spec.seed, "final", i) for i in range(100)}
    assert len(candidates) == SEEDS
    assert not candidates & (finals | {trial_seed(spec, place) for place in range(1000)})
