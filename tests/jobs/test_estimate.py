"""How long a plan is said to take, and what is said to make it shorter."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.jobs.estimate import LONG, Estimate
from drnn_bench.speed.pace import Pace
from tests.support.searched import searched

SPEC = searched(steps=5_000).spec


def estimate(step: float | None, trials: int = 30, trainers: int = 2, read=0.0) -> Estimate:
    pace = None if step is None else Pace(step, read)
    return Estimate([(SPEC, 0, pace)], trials, seeds=7, trainers=trainers)


def test_the_time_is_that_of_trials_candidates_and_finals():
    whole = replace(SPEC, pruner="none")
    plan = Estimate([(whole, 10, Pace(0.01, 2.0))], 30, seeds=7, trainers=2)
    # 20 trials are left, 3 candidates train on 3 seeds each, and 7 finals; each reads the
    # validation set 8 times.
    assert plan.core_seconds() == [(20 + 9 + 7) * (5_000 * 0.01 + 8 * 2.0)]
    assert plan.seconds() == plan.core_seconds()[0] / 2


def test_trials_are_expected_to_be_stopped_where_a_pruner_stops_them():
    assert (
        estimate(0.01).core_seconds()
        < Estimate(
            [(replace(SPEC, pruner="none"), 0, Pace(0.01, 0.0))], 30, seeds=7, trainers=2
        ).core_seconds()
    )


def test_a_pace_that_is_not_known_adds_nothing():
    assert estimate(None).seconds() == 0


@given(st.floats(1e-4, 100), st.integers(2, 200), st.integers(1, 64), st.floats(0, 100))
def test_every_way_that_is_named_brings_it_to_an_hour(step, trials, trainers, read):
    plan = estimate(step, trials, trainers, read)
    ways = re.findall(r"--(steps|trials) (\d+) \(", plan.shorter())
    for name, number in ways:
        assert plan.seconds(**{name: int(number)}) <= LONG
        assert int(number) < {"steps": SPEC.steps, "trials": trials}[name]
    if plan.seconds(steps=10) <= LONG:
        assert "steps" in dict(ways)


def test_nothing_is_named_where_nothing_would_do():
    assert estimate(100.0).shorter() == ""


def test_the_ways_are_words_of_the_command_line():
    words = r"--steps \d+ \(\d+ min\) or --trials \d+ \(\d+ min\)"
    assert re.fullmatch(words, estimate(0.05).shorter())
