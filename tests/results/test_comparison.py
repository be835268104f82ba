"""A final and the same one again: which comparison is made, why, and what comes out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.results.comparison import BITS, FACTS, compare, differences
from drnn_bench.results.significance import prediction_interval
from tests.support.searched import searched

TESTS = (0.90, 0.91, 0.92, 0.93)
CLEAN = {"git_commit": "a" * 40, "git_dirty": False}
FINAL = searched().final(0, 0.91) | CLEAN | {"margin": 0.002}
OTHER = {"weights": "1" * 64}  # other bits, the same values


def test_the_same_bits_are_the_same():
    outcome = compare(FINAL, FINAL, TESTS)
    assert (outcome.same, outcome.by, outcome.differences, outcome.unequal) == (
        True,
        "bits",
        (),
        (),
    )
    assert outcome.lines == [
        "Compared bit for bit: nothing that decides the bits differs between then and now.",
        "It came out the same: test accuracy 0.91, weights 000000000000, 1 points of the curve.",
    ]


@pytest.mark.parametrize("key", [key for key in BITS if key != "state"])
def test_any_other_value_is_not_the_same_where_nothing_explains_it(key):
    other = {"weights": "1" * 64, "curve": [[90, 0.5]]}.get(key, 0.25)
    outcome = compare(FINAL, FINAL | {key: other}, TESTS)
    assert (outcome.same, outcome.by, outcome.unequal) == (False, "bits", (key,))
    assert "did not come out the same" in outcome.lines[-1]
    assert key.replace("_", " ") in outcome.lines[-1]


@pytest.mark.parametrize("key", FACTS)
def test_whatever_decides_the_bits_is_named_and_the_interval_decides(key):
    now = FINAL | OTHER | {key: "another"}
    outcome = compare(FINAL, now, TESTS)
    assert (outcome.same, outcome.by) == (True, "interval")
    [line] = outcome.differences
    assert line.startswith(f"{key}: ")
    assert line.endswith("then, another now")
    assert f"  {line}" in outcome.lines
    # The same bits are the same, whatever differs.
    outcome = compare(FINAL, FINAL | {key: "another"}, TESTS)
    assert (outcome.same, outcome.by, len(outcome.differences)) == (True, "bits", 1)


def test_what_an_older_row_does_not_say_may_differ():
    old = {k: v for k, v in FINAL.items() if k not in ("numpy", "simd")}
    assert [line.partition(" then")[0] for line in differences(old, FINAL)] == [
        "simd: not recorded",
        "numpy: not recorded",
    ]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"git_commit": "b" * 40},
         ["drnn_bench: 0.1.0 at aaaaaaaaaa then, 0.1.0 at bbbbbbbbbb now"]),
        ({"git_commit": None}, ["drnn_bench: 0.1.0 at aaaaaaaaaa then, 0.1.0 now"]),
        ({"git_dirty": True}, ["drnn_bench: changes were not committed now"]),
        ({"processor": "Processor A, 2 cores"}, []),
        ({"processor": "Processor B, 4 cores"}, ["processor: Processor A then, Processor B now"]),
        ({"python": "3.14.0", "optuna": "9.9", "workers": 7}, []),
    ],
)  # fmt: skip
def test_code_and_processor_count_and_cores_do_not(now, words):
    assert differences(FINAL, FINAL | now) == words


def test_a_gpu_adds_in_no_fixed_order():
    gpu = FINAL | {"device": "cuda"}
    assert compare(gpu, gpu | OTHER, TESTS).by == "interval"


@pytest.mark.parametrize(
    ("test", "tests", "same", "words"),
    [
        (0.95, TESTS, True, "lies inside"),  # 0.915 +- 3.18 * 0.0129 * sqrt 1.25
        (0.97, TESTS, False, "lies outside"),
        (0.86, TESTS, False, "lies outside"),
        (0.9115, [0.91], True, "by no more than the margin that counts in the ranks, 0.002"),
        (0.95, [0.91], False, "one seed has no interval"),
        (0.9115, [0.91, 0.91], True, "the margin"),
    ],
)
def test_by_interval_the_test_value_decides(test, tests, same, words):
    outcome = compare(FINAL, FINAL | OTHER | {"test": test, "torch": "0.0"}, tests)
    assert (outcome.same, outcome.by) == (same, "interval")
    assert words in outcome.lines[-1]
    assert outcome.lines[-1].endswith(f"it {'came' if same else 'did not come'} out the same.")


def test_divergence():
    diverged = searched().final(0, None) | CLEAN
    later, finite = diverged | {"reason": "loss not finite at step 9"}, FINAL | {"torch": "0.0"}
    assert compare(diverged, diverged, []).same
    assert compare(diverged, later, []).unequal == ("reason",)
    assert not compare(diverged, later, []).same
    outcome = compare(diverged, later | {"torch": "0.0"}, [])
    assert (outcome.same, outcome.by) == (True, "interval")
    assert "It diverged then and now" in outcome.lines[-1]
    assert "not now: it did not come" in compare(diverged, finite, TESTS).lines[-1]
    assert "only now: it did not come" in compare(finite, diverged, TESTS).lines[-1]
    assert not compare(FINAL, diverged, TESTS).same


def test_a_row_without_weights_and_curve_is_compared_by_what_it_has():
    old = {k: v for k, v in FINAL.items() if k not in ("weights", "curve")}
    assert compare(old, FINAL, TESTS).same
    assert compare(old, FINAL | {"test_cross_entropy": 0.1}, TESTS).unequal == (
        "test_cross_entropy",
    )


def test_the_prediction_interval_holds_one_more_value_19_times_in_20():
    rng = np.random.default_rng(0)
    draws = rng.normal(3.0, 0.5, size=(4000, 6))
    inside = 0
    for *sample, another in draws:
        low, high = prediction_interval(sample)
        inside += low <= another <= high
    assert inside / len(draws) == pytest.approx(0.95, abs=0.012)
    assert prediction_interval([1.0]) is None


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9),
    scale=st.floats(0.1, 10), shift=st.floats(-10, 10),
)  # fmt: skip
def test_the_prediction_interval_moves_with_its_sample(values, scale, shift):
    low, high = prediction_interval(values)
    moved = prediction_interval([scale * value + shift for value in values])
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), rel=1e-6, abs=1e-6)
