"""The draws with which a search begins: no two searches share them, and every family gets the
same spread of learning rates."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy.stats import qmc

from drnn_bench.results.recipe import Recipe
from drnn_bench.search.samplers import make_sampler
from drnn_bench.search.startup import at, sobol_point
from drnn_bench.search.study import STARTUP, StudySpec

SPEC = StudySpec(
    task="pixel_digits", task_version=1, data_hash="0" * 16, family="lstm", budget=5000, steps=100,
    recipe=Recipe().table, sampler="tpe", pruner="asha", space={}, seed=0,
)  # fmt: skip
RATES = FloatDistribution(3e-4, 1e-1, log=True)
OTHER_SEARCHES = (
    {"task": "copy_memory:T=500"}, {"data_hash": "1" * 16}, {"budget": 2000}, {"steps": 200},
    {"seed": 1},
)  # fmt: skip


def draws(spec: StudySpec, count: int = STARTUP, attempt: int = 0) -> list[tuple[float, int]]:
    """A rate and a depth for each of the first places."""
    study, drawn = optuna.create_study(), []
    for place in range(count):
        study.sampler = make_sampler(spec, place, attempt)
        trial = study.ask()
        rate = trial.suggest_float("learning_rate", RATES.low, RATES.high, log=True)
        drawn.append((rate, trial.suggest_int("depth", 1, 10**6)))
        study.tell(trial, 0.0)
    return drawn


def rates(spec: StudySpec, **more) -> list[float]:
    return [rate for rate, _ in draws(spec, **more)]


def depths(spec: StudySpec, **more) -> list[int]:
    return [depth for _, depth in draws(spec, **more)]


@pytest.mark.parametrize("change", OTHER_SEARCHES, ids=str)
def test_no_two_searches_share_their_draws(change):
    other = replace(SPEC, **change)
    assert not set(rates(SPEC)) & set(rates(other))
    assert not set(depths(SPEC)) & set(depths(other))


def test_families_share_their_rates_and_not_their_architectures():
    other = replace(SPEC, family="gru")
    assert rates(SPEC) == rates(other)
    assert not set(depths(SPEC)) & set(depths(other))


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_neither_sampler_nor_pruner_matters(sampler):
    assert draws(replace(SPEC, sampler=sampler, pruner="none")) == draws(SPEC)


def test_a_refused_draw_gives_another_architecture_and_the_same_rate():
    assert rates(SPEC, attempt=1) == rates(SPEC)
    assert not set(depths(SPEC, attempt=1)) & set(depths(SPEC))


@given(st.integers(0, 2**31 - 1))
def test_eight_rates_lie_one_in_each_eighth_of_the_range(seed):
    assert sorted(int(8 * sobol_point(seed, place)) for place in range(8)) == list(range(8))


def test_a_point_is_that_of_the_whole_sequence():
    whole = qmc.Sobol(d=1, scramble=True, rng=7).random(16)[:, 0]
    assert [sobol_point(7, place) for place in range(16)] == pytest.approx(whole.tolist())


@given(st.floats(0, 1, exclude_max=True))
def test_a_point_stays_in_the_range_and_keeps_its_order(point):
    assert RATES.low <= at(RATES, point) <= RATES.high
    assert at(RATES, point) <= at(RATES, min(1.0, point + 0.01))
    assert at(FloatDistribution(2.0, 6.0), point) == pytest.approx(2 + 4 * point)
    assert at(CategoricalDistribution([1, 2, 3]), point) == 1 + int(3 * point)


def test_a_random_search_draws_so_to_its_end():
    random = replace(SPEC, sampler="random", pruner="none")
    found = rates(random, count=32)
    assert len({int(32 * place) for place in _places(found)}) == 32


def _places(found: list[float]) -> list[float]:
    import math

    span = math.log(RATES.high / RATES.low)
    return [math.log(rate / RATES.low) / span for rate in found]
