"""Intervals, tests and ranks against scipy, against a worked example, and as laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from drnn_bench.results.significance import (
    LEVEL,
    holm,
    rank_intervals,
    share_interval,
    t_interval,
    welch_p,
)

ALPHA = 1 - LEVEL

# Metrics are single-precision numbers in the end: nothing finer, nothing larger.
metrics = st.floats(0, 2.0**100, width=32)
samples = st.lists(metrics, min_size=1, max_size=6)
p_values = st.lists(st.floats(0, 1), max_size=12)


def drawn(seed: int, n: int, mean: float = 0.0, spread: float = 1.0) -> list[float]:
    return np.random.default_rng(seed).normal(mean, spread, n).tolist()


# -- intervals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_students(n, seed):
    values = drawn(seed, n, mean=0.9, spread=0.02)
    expected = stats.t.interval(0.95, n - 1, loc=np.mean(values), scale=stats.sem(values))
    assert t_interval(values) == pytest.approx(expected, rel=1e-12)


def test_three_seeds_by_hand():
    # Mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653 from any table.
    low, high = t_interval([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-6)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_no_interval_is_invented_below_two_values(values):
    assert t_interval(values) is None


def test_equal_values_give_an_interval_of_no_width():
    assert t_interval([0.75, 0.75, 0.75]) == (0.75, 0.75)


# -- Welch -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (3, 10), (2, 30)])
@pytest.mark.parametrize("apart", [0.0, 0.5, 3.0])
def test_p_is_welchs(n, m, apart):
    a, b = drawn(1, n), drawn(2, m, mean=apart, spread=3.0)
    expected = stats.ttest_ind(a, b, equal_var=False).pvalue
    assert welch_p(a, b) == pytest.approx(expected, rel=1e-9)
    assert welch_p(b, a) == pytest.approx(expected, rel=1e-9)


def test_p_is_welchs_where_one_side_never_varies():
    # Only b's variance is left, so it is Student's test of b's mean against 0.5.
    b = [0.6, 0.7, 0.65]
    assert welch_p([0.5] * 3, b) == pytest.approx(stats.ttest_1samp(b, 0.5).pvalue, rel=1e-9)


@pytest.mark.parametrize(("a", "b"), [([0.9], [0.1, 0.1]), ([0.1, 0.1], [0.9]), ([], [0.1, 0.2])])
def test_what_cannot_be_tested_is_no_difference(a, b):
    assert welch_p(a, b) == 1.0


def test_samples_that_never_vary_differ_exactly_where_their_values_do():
    assert welch_p([0.5, 0.5], [0.5, 0.5, 0.5]) == 1.0
    assert welch_p([0.5, 0.5], [0.6, 0.6]) == 0.0


@settings(max_examples=200)
@given(samples, samples)
def test_p_is_a_probability_for_any_metrics(a, b):
    assert 0 <= welch_p(a, b) <= 1


# -- Holm --------------------------------------------------------------------------------------


def test_holm_by_hand():
    # In order: 0.005 <= 0.05/4, 0.01 <= 0.05/3, but 0.03 > 0.05/2, and so 0.04 falls with it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    # Every step passes: 0.01 <= 0.05/3, 0.02 <= 0.05/2, 0.04 <= 0.05.
    assert holm([0.04, 0.02, 0.01]) == [True, True, True]
    # The first step fails, and with it those that would pass by themselves.
    assert holm([0.02, 0.03, 0.04]) == [False, False, False]


def test_one_test_needs_no_correction():
    assert holm([0.049]) == [True]
    assert holm([0.051]) == [False]
    assert holm([]) == []


@given(p_values)
def test_holm_rejects_no_more_than_without_correction_and_no_less_than_bonferroni(values):
    for rejected, p in zip(holm(values), values, strict=True):
        assert not rejected or p <= ALPHA
        assert rejected or p > ALPHA / len(values)


@given(p_values)
def test_whatever_is_below_a_rejected_one_is_rejected_too(values):
    rejected = holm(values)
    worst = max((p for p, yes in zip(values, rejected, strict=True) if yes), default=-1)
    assert rejected == [p <= worst for p in values]


@given(p_values, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    rejected = holm(values)
    assert holm([values[i] for i in order]) == [rejected[i] for i in order]


# -- ranks -------------------------------------------------------------------------------------

BEST, MIDDLE, WORST = [0.95, 0.951, 0.952], [0.80, 0.801, 0.802], [0.60, 0.601, 0.602]


def test_clearly_different_samples_have_ranks_of_their_own():
    assert rank_intervals([MIDDLE, BEST, WORST], "max") == [(2, 2), (1, 1), (3, 3)]


def test_where_less_is_better_the_smallest_is_first():
    assert rank_intervals([MIDDLE, BEST, WORST], "min") == [(2, 2), (3, 3), (1, 1)]


@pytest.mark.parametrize("direction", ["max", "min"])
def test_identical_samples_share_all_ranks(direction):
    assert rank_intervals([MIDDLE] * 3, direction) == [(1, 3)] * 3


def test_what_cannot_be_told_apart_shares_ranks_with_its_neighbour_only():
    close = [0.9505, 0.9515, 0.951]
    assert rank_intervals([BEST, close, WORST], "max") == [(1, 2), (1, 2), (3, 3)]


def test_a_sample_between_two_that_differ_may_be_tied_with_both():
    between = [0.65, 0.8, 0.95]
    ranks = rank_intervals([BEST, between, WORST], "max")
    assert ranks == [(1, 2), (1, 3), (2, 3)]


def test_one_seed_is_tied_with_everything():
    ranks = rank_intervals([BEST, [0.1], WORST], "max")
    assert ranks[1] == (1, 3)
    assert ranks[0] == (1, 2)
    assert ranks[2] == (2, 3)
    assert rank_intervals([[0.9], [0.5], [0.1]], "max") == [(1, 3)] * 3


def test_a_lone_sample_is_first_and_none_gives_none():
    assert rank_intervals([BEST], "max") == [(1, 1)]
    assert rank_intervals([], "max") == []


def test_more_rivals_make_it_harder_to_be_told_apart():
    a, b = [0.90, 0.91, 0.92], [0.86, 0.87, 0.88]
    assert welch_p(a, b) < ALPHA
    assert rank_intervals([a, b], "max") == [(1, 1), (2, 2)]
    others = [drawn(i, 3, mean=0.89, spread=0.1) for i in range(6)]
    assert rank_intervals([a, b, *others], "max")[1][0] == 1


many_samples = st.lists(
    st.one_of(samples, st.tuples(metrics, st.integers(2, 4)).map(lambda s: [s[0]] * s[1])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150)
@given(many_samples, st.sampled_from(["max", "min"]))
def test_ranks_are_intervals_within_the_field_and_the_best_mean_may_be_first(given_samples, way):
    ranks = rank_intervals(given_samples, way)
    assert all(1 <= low <= high <= len(given_samples) for low, high in ranks)
    means = [float(np.mean(sample)) for sample in given_samples]
    best, worst = (max, min) if way == "max" else (min, max)
    assert ranks[means.index(best(means))][0] == 1
    assert ranks[means.index(worst(means))][1] == len(given_samples)


@settings(max_examples=60)
@given(many_samples, st.randoms(use_true_random=False))
def test_ranks_do_not_depend_on_the_order(given_samples, random):
    order = list(range(len(given_samples)))
    random.shuffle(order)
    ranks = rank_intervals(given_samples, "max")
    assert rank_intervals([given_samples[i] for i in order], "max") == [ranks[i] for i in order]


@settings(max_examples=60)
@given(many_samples)
def test_turning_the_direction_turns_the_ranks(given_samples):
    n = len(given_samples)
    up, down = rank_intervals(given_samples, "max"), rank_intervals(given_samples, "min")
    assert down == [(n + 1 - high, n + 1 - low) for low, high in up]


def test_the_mean_of_many_intervals_is_covered_as_often_as_promised():
    rng = np.random.default_rng(0)
    hits = sum(low <= 0 <= high for low, high in map(t_interval, rng.normal(0, 1, (2000, 3))))
    assert hits / 2000 == pytest.approx(LEVEL, abs=4 * math.sqrt(LEVEL * (1 - LEVEL) / 2000))


@given(st.integers(1, 60), st.data())
def test_a_share_has_wilsons_interval(count, data):
    hits = data.draw(st.integers(0, count))
    ends = stats.binomtest(hits, count).proportion_ci(0.95, method="wilson")
    assert share_interval(hits, count) == pytest.approx((ends.low, ends.high), abs=1e-12)
