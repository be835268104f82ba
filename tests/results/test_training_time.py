"""The mean curve of a family's finals: against a walk along it, step by step, and as laws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.board import renderings
from drnn_bench.results.ranking import rank_rows
from drnn_bench.results.training_time import MeanCurve, mean_curve
from tests.support.searched import Row, line, searched

GUESSES = {"direction": "max", "guessing": 0.1}


def final(curve: list[list[float]], seconds: float = 8.0, threads: int = 1) -> Row:
    return {"curve": curve, "train_seconds": seconds, "threads": threads}


curves = st.lists(st.integers(0, 20).map(lambda x: x / 20), min_size=1, max_size=6).map(
    lambda values: [[10.0 * (i + 1), value] for i, value in enumerate(values)]
)


def walked(curve: MeanCurve, target: float) -> float | None:
    """The first of many small steps that is there, in seconds."""
    last = curve.steps[-1]
    walks = [np.linspace(a, b, 501) for a, b in itertools.pairwise(curve.steps)]
    for step in np.concatenate(walks):
        value = curve.at_step(float(step))
        if (value >= target - 1e-9) if curve.direction == "max" else (value <= target + 1e-9):
            return curve.seconds * float(step) / last
    return None


@given(curves, st.integers(0, 20), st.sampled_from(["max", "min"]))
def test_the_time_to_a_target_is_when_a_walk_along_the_curve_first_reaches_it(
    points, level, direction
):
    curve = mean_curve({"direction": direction, "guessing": 0.5}, [final(points)])
    assert curve is not None
    expected, seconds = walked(curve, level / 20), curve.seconds_to(level / 20)
    if expected is None:
        assert seconds is None
    else:
        assert seconds == pytest.approx(expected, abs=curve.seconds / 500)
        assert curve.at_seconds(seconds) == pytest.approx(level / 20, abs=1e-9) or seconds == 0


def test_the_curve_is_the_mean_over_the_seeds_from_guessing_on():
    finals = [final([[10, 0.2], [20, 0.4]], 6.0), final([[10, 0.4], [20, 0.8]], 10.0, threads=2)]
    curve = mean_curve(GUESSES, finals)
    assert curve is not None
    assert curve.steps == (0, 10, 20)
    assert curve.values == pytest.approx((0.1, 0.3, 0.6))
    assert curve.seconds == pytest.approx((6.0 + 20.0) / 2)
    assert curve.seconds_to(0.45) == pytest.approx(13.0 * 15 / 20)
    assert curve.seconds_to(0.61) is None


def test_a_diverged_final_counts_as_the_worse_of_guessing_and_the_worst_of_the_others():
    finals = [final([[10, 0.05], [20, 0.4]]), final([[10, 0.5], [20, 0.8]])]
    curve = mean_curve(GUESSES, finals, diverged=1)
    assert curve is not None
    assert curve.values[1:] == pytest.approx(((0.05 + 0.5 + 0.05) / 3, (0.4 + 0.8 + 0.1) / 3))
    losses = mean_curve({"direction": "min", "guessing": 2.0}, [final([[10, 3.0], [20, 1.0]])], 1)
    assert losses is not None
    assert losses.values[1:] == (3.0, 1.5)


@pytest.mark.parametrize(("direction", "sign"), [("max", 1), ("min", -1)])
def test_the_last_quarter_is_positive_where_the_family_was_still_getting_better(direction, sign):
    study = {"direction": direction, "guessing": 1.0}
    curve = mean_curve(study, [final([[50, 1.0], [100, 1.0 + sign]])])
    assert curve is not None
    assert curve.last_quarter == pytest.approx(0.5)
    late = mean_curve({"direction": direction}, [final([[100, 2.0]])])
    assert late is not None
    assert late.last_quarter is None


@given(curves, st.floats(0, 20))
def test_the_value_after_seconds_lies_between_those_of_the_evaluations(points, seconds):
    curve = mean_curve(GUESSES, [final(points)])
    assert curve is not None
    values = [0.1, *(value for _, value in points)]
    assert min(values) <= curve.at_seconds(seconds) <= max(values)
    assert curve.at_seconds(curve.seconds) == values[-1]


def test_without_curves_there_is_none():
    assert mean_curve(GUESSES, [{"train_seconds": 1.0, "threads": 1}]) is None
    assert mean_curve(GUESSES, []) is None


# -- on the board ------------------------------------------------------------------------------


def with_curves(rows: list[Row], *values: float) -> list[Row]:
    points = [[25 * (i + 1), value] for i, value in enumerate(values)]
    return [row | {"curve": points} for row in rows]


def test_a_board_has_the_time_to_the_target_and_says_who_did_not_reach_it():
    fast, slow, bare = searched("lstm"), searched("gru"), searched("rnn")
    no_curve = [{k: v for k, v in row.items() if k != "curve"} for row in bare.finals(0.9, 0.9)]
    rows: list[Any] = [
        fast.study(), *with_curves(fast.finals(0.97, 0.98), 0.1, 0.9, 1.0, 1.0),
        slow.study(), *with_curves(slow.finals(0.9, 0.91), 0.1, 0.5, 0.8, 0.9),
        bare.study(), *no_curve,
    ]  # fmt: skip
    found = line(rows)
    assert found["target"] == 0.95
    assert found["seconds_to_target"] == pytest.approx(1.5 * 62.5 / 100)
    assert line(rows, "gru")["seconds_to_target"] is None
    assert line(rows, "rnn")["last_quarter"] is None
    assert line(rows, "gru")["last_quarter"] == pytest.approx(0.1)
    text = renderings.to_markdown(rank_rows(rows))
    assert "s to target" in text
    assert "until the mean validation of the finals is 95 %" in text
    assert "Target not reached: gru." in text
    assert "No curves to tell: rnn." in text
    assert "(mean validation): lstm +0.0; gru +10.0." in text


def test_a_task_without_a_target_has_no_column_for_it():
    one = searched(task="speaker_vctk:speakers=2")
    text = renderings.to_markdown(rank_rows([one.study(), *one.finals(0.8, 0.9)]))
    assert "arget" not in text


def test_solved_counts_the_finals_on_the_good_side_and_a_diverged_one_is_not_solved():
    one = searched(task="copy_memory:T=5")
    rows = [one.study(), *one.finals(0.01, 0.0, 0.011, 2.0, None)]
    found = line(rows)
    assert (found["solved"], found["n"], found["solved_at"]) == (2, 5, 0.01)
    text = renderings.to_markdown(rank_rows(rows))
    # Wilson's interval by its formula.
    z, n, p = 1.959963984540054, 5, 2 / 5
    middle, half = p + z**2 / 10, z * math.sqrt(p * (1 - p) / n + z**2 / 100)
    low, high = ((middle + sign * half) / (1 + z**2 / 5) for sign in (-1, 1))
    assert f"2/5 ({100 * low:.0f}–{100 * high:.0f} %)" in text
    assert "Solved: finals whose test metric is 0.01 or better" in text
    digits = searched()
    assert "olved" not in renderings.to_markdown(rank_rows([digits.study(), *digits.finals(0.9)]))


def test_rows_from_before_have_neither():
    one = searched()
    keys = ("target", "solved_at")
    rows = [
        {k: v for k, v in row.items() if k not in keys} for row in (one.study(), *one.finals(0.9))
    ]
    assert not {"target", "seconds_to_target", "solved"} & line(rows).keys()
