"""Outcomes in a row: small, exact where they are bits, and the test that rests on them."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from drnn_bench.results.outcomes import BITS, BLOCKS, block_means, mean_outcomes, pack, unpack
from drnn_bench.results.significance import (
    Sample,
    holm,
    paired_p,
    paired_rank_intervals,
    welch_p,
)

FLOATS = st.floats(-50, 50, allow_subnormal=False)


@given(arrays(bool, st.integers(1, 300)))
def test_bits_come_back_as_they_were(right_N):
    packed = json.loads(json.dumps(pack(right_N)))
    assert (unpack(packed) == right_N).all()


@given(arrays(float, st.integers(1, 2500), elements=FLOATS))
def test_means_come_back_within_a_level_of_their_range(values_N):
    means_K = block_means(values_N)
    assert len(means_K) == min(len(values_N), BLOCKS)
    packed = pack(values_N)
    if "means" not in packed:
        return  # all were 0 or 1
    kept_K = unpack(json.loads(json.dumps(packed)))
    assert np.abs(kept_K - means_K).max() <= np.ptp(means_K) / 131_000 + 1e-12


@pytest.mark.parametrize("count", [1, BITS, BITS + 1, 100_000])
def test_a_row_holds_them_in_three_kilobytes(count):
    rng = np.random.default_rng(0)
    for values_N in (rng.random(count) < 0.5, rng.normal(size=count)):
        assert len(json.dumps(pack(values_N))) < 3000


def test_block_means_are_those_of_a_slow_loop():
    values_N = np.random.default_rng(0).normal(size=2345)
    ends = [i * 2345 // BLOCKS for i in range(BLOCKS + 1)]
    slow = [values_N[a:b].mean() for a, b in itertools.pairwise(ends)]
    assert block_means(values_N) == pytest.approx(slow)


@pytest.mark.parametrize("values", [[], [[0.0, 1.0]], [math.nan], [math.inf, 0.0]])
def test_what_are_no_outcomes_is_refused(values):
    with pytest.raises(ValueError, match="outcomes"):
        pack(values)


@pytest.mark.parametrize(
    "packed",
    [
        {"bits": "AA==", "n": 9}, {"bits": "AA==", "n": 0}, {"bits": "not base64!", "n": 8},
        {"means": "AAAA", "low": 0.0, "high": 1.0, "n": 2},
    ],
)  # fmt: skip
def test_damaged_outcomes_are_refused(packed):
    with pytest.raises(ValueError, match=r"outcomes|base64|padding|Only"):
        unpack(packed)


def test_bits_beside_block_means_are_the_same_examples():
    """A net that copies without any error is a row of zeros, which is packed as bits."""
    exact_N, near_N = np.zeros(2345), np.random.default_rng(0).random(2345)
    mean = mean_outcomes([unpack(pack(exact_N)), unpack(pack(near_N))])
    assert mean == pytest.approx(block_means((exact_N + near_N) / 2), abs=1e-5)


def test_other_numbers_of_examples_have_no_mean():
    assert len(mean_outcomes([])) == 0
    assert len(mean_outcomes([np.zeros(10), np.zeros(20)])) == 0
    assert len(mean_outcomes([np.zeros(10), np.empty(0)])) == 0


def sample(tests: list[float], outcomes: list[float] | np.ndarray) -> Sample:
    return Sample(tests, np.asarray(outcomes, dtype=float))


def test_the_formula_by_hand():
    a = sample([0.9, 0.8, 0.85], [1, 1, 0.5, 1])
    b = sample([0.5, 0.6], [0.5, 1, 0, 0.5])
    seeds_a, seeds_b = 0.0025 / 3, 0.005 / 2
    differences = [0.5, 0, 0.5, 0.5]
    mean = sum(differences) / 4
    examples = sum((d - mean) ** 2 for d in differences) / 3 / 4
    variance = seeds_a + seeds_b + examples
    t = (0.85 - 0.55 - 0.1) / math.sqrt(variance)
    freedom = variance**2 / (seeds_a**2 / 2 + seeds_b**2 / 1 + examples**2 / 3)
    assert paired_p(a, b, margin=0.1) == pytest.approx(2 * (1 - stats.t.cdf(t, freedom)))


def test_without_a_margin_and_without_examples_it_is_welchs_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 7).tolist(), rng.normal(1, 2, 5).tolist()
    welch = stats.ttest_ind(a, b, equal_var=False).pvalue
    assert paired_p(sample(a, [0.5]), sample(b, [0.5])) == pytest.approx(welch)


@given(
    st.lists(FLOATS, min_size=1, max_size=6), st.lists(FLOATS, min_size=1, max_size=6),
    arrays(float, (2, 20), elements=st.floats(0, 1)), st.floats(0, 10), st.floats(0, 10),
)  # fmt: skip
def test_it_is_symmetric_and_a_wider_margin_never_separates_more(a, b, outcomes, one, two):
    x, y = sample(a, outcomes[0]), sample(b, outcomes[1])
    low, high = sorted((one, two))
    assert paired_p(x, y, low) == paired_p(y, x, low)
    assert 0 <= paired_p(x, y, low) <= paired_p(x, y, high) <= 1


@pytest.mark.parametrize("size", [1e-140, 1e-127, 1e100])
def test_numbers_whose_squares_leave_the_floats_are_told_apart_as_others_are(size):
    nothing = np.zeros(20)
    a, b = [0.1, 0.2, 0.3], [0.7, 0.8, 1.0]
    p = paired_p(sample(a, nothing), sample(b, nothing))
    x, y = ([value * size for value in values] for values in (a, b))
    assert paired_p(sample(x, nothing), sample(y, nothing)) == pytest.approx(p, rel=1e-6)
    assert welch_p(x, y) == pytest.approx(welch_p(a, b), rel=1e-6)


def test_the_form_that_outcomes_were_packed_in_changes_nothing():
    rng = np.random.default_rng(0)
    a_N, b_N = (rng.random(2 * BLOCKS) < share for share in (0.6, 0.5))
    a, b = [0.61, 0.6, 0.59], [0.5, 0.51, 0.49]
    blocks = paired_p(sample(a, block_means(a_N)), sample(b, block_means(b_N)), 0.05)
    assert paired_p(sample(a, a_N), sample(b, block_means(b_N)), 0.05) == pytest.approx(blocks)
    assert 0 < blocks < 1


@pytest.mark.parametrize("outcomes", [np.empty(0), np.zeros(7)])
def test_outcomes_that_are_not_known_leave_the_seeds_and_the_margin(outcomes):
    a, b = [0.91, 0.9, 0.89], [0.84, 0.81, 0.8]
    known, alone = np.random.default_rng(0).random((2, 20)), np.zeros(1)
    for margin in (0.0, 0.05, 0.1):
        seeds = paired_p(sample(a, alone), sample(b, alone), margin)
        assert paired_p(sample(a, outcomes), sample(b, known[0]), margin) == seeds
    assert seeds == 1


def test_one_seed_separates_nothing():
    ones, zeros = np.ones(100), np.zeros(100)
    assert paired_p(sample([1.0], ones), sample([0.0] * 5, zeros)) == 1
    assert paired_p(sample([1.0] * 5, ones), sample([0.0] * 5, zeros)) == 0
    assert paired_p(sample([1.0] * 5, ones), sample([0.0] * 5, zeros), margin=1.0) == 1


def test_ranks_follow_holm_over_all_pairs():
    rng = np.random.default_rng(1)
    means = [0.9, 0.9, 0.8, 0.5]
    samples = [sample(rng.normal(m, 0.01, 7).tolist(), rng.random(500) < m) for m in means]
    ranks = paired_rank_intervals(samples, "max", 0.002)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    sure = holm([paired_p(samples[i], samples[j], 0.002) for i, j in pairs])
    better = [sum(s and i in p and np.mean(samples[i].tests) < np.mean(samples[sum(p) - i].tests)
                  for p, s in zip(pairs, sure, strict=True)) for i in range(4)]  # fmt: skip
    assert [low for low, _ in ranks] == [1 + n for n in better]
    assert ranks[3] == (4, 4)
