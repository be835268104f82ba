"""When a trial is stopped: never on a plateau, and never for a difference that says nothing."""

from __future__ import annotations

import statistics

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.search.pruning import Scale, better_half, make_pruner

ACCURACY = Scale(sign=1, margin=0.002, guessing=0.1)
LOSS = Scale(sign=-1, margin=0.01, guessing=2.0794)
VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def search(
    name: str, scale: Scale, curves: list[list[float]], error: float = 0.0, anew: bool = False
) -> list[int]:
    """After how many evaluations each of some trials ended, one after the other. `anew`: each by a
    pruner that has seen none before, as where the driver is another one."""
    direction = "maximize" if scale.sign > 0 else "minimize"
    study = optuna.create_study(direction=direction)
    ended = []
    for number, curve in enumerate(curves):
        if anew or number == 0:
            study.pruner = make_pruner(name, scale, evaluations=len(curves[0]), startup=2)
            study.pruner.standard_error = error
        trial = study.ask()
        for number, value in enumerate(curve, 1):
            trial.report(value, number)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
        ended.append(number)
    return ended


GOOD, POOR = [0.5] * 8, [0.4] * 8


@pytest.mark.parametrize("name", ["asha", "median"])
def test_what_is_surely_worse_is_stopped_at_a_quarter(name):
    assert search(name, ACCURACY, [GOOD, GOOD, POOR]) == [8, 8, 2]


def test_none_stops_nothing():
    assert search("none", ACCURACY, [GOOD, GOOD, POOR]) == [8, 8, 8]


@pytest.mark.parametrize("name", ["asha", "median"])
def test_on_a_plateau_nothing_is_stopped(name):
    plateau = [[2.0794 + 2e-4 * i] * 8 for i in range(6)]
    assert search(name, LOSS, plateau) == [8] * 6
    learned = [[1.1] * 8, [1.0] * 8, [2.0] * 8]
    assert search(name, LOSS, learned) == [8, 8, 2]


@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_difference_within_two_standard_errors_stops_nothing(name):
    assert search(name, ACCURACY, [GOOD, GOOD, POOR], error=0.051) == [8, 8, 8]
    assert search(name, ACCURACY, [GOOD, GOOD, POOR], error=0.049) == [8, 8, 2]


def test_the_second_rung_is_at_a_half():
    slow = [0.6, 0.6, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    assert search("asha", ACCURACY, [GOOD, GOOD, slow]) == [8, 8, 4]


def test_a_trial_of_one_evaluation_is_never_stopped():
    assert search("asha", ACCURACY, [[0.5], [0.5], [0.2]]) == [1, 1, 1]


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(0, 1), min_size=8, max_size=8), min_size=3, max_size=8))
@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_driver_that_continues_decides_as_one_that_saw_all(name, curves):
    assert search(name, ACCURACY, curves) == search(name, ACCURACY, curves, anew=True)


@given(VALUES)
def test_the_cut_keeps_the_better_half(values):
    cut = better_half(values)
    kept = sum(v >= cut for v in values)
    assert cut in values
    assert kept >= len(values) // 2
    assert sum(v > cut for v in values) < max(1, len(values) // 2)


@given(VALUES, st.floats(0, 1), st.floats(0, 0.2))
def test_a_better_value_is_never_stopped_where_a_worse_one_is_not(values, value, error):
    pruner = make_pruner("asha", ACCURACY, 8, 2)
    pruner.standard_error = error
    if pruner.worse(value, values):
        assert pruner.worse(value - 0.1, values)
        assert value < statistics.fmean([max(values), 1])
