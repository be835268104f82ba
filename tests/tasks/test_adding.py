"""The adding problem: a contract, an oracle of its generator, and what guessing costs."""

from __future__ import annotations

import numpy as np
import pytest

from drnn_bench.errors import UserError
from drnn_bench.metrics.forms import steps_of
from drnn_bench.tasks.registry import parse_task
from drnn_bench.testing import TaskContract


class TestAdding(TaskContract):
    task = "adding:T=9"


def test_the_target_is_the_sum_of_the_two_marked_numbers():
    for x, y in parse_task("adding:T=9").load(None).values():
        for numbers, markers, wanted in zip(x[:200, :, 0], x[:200, :, 1], y[:200], strict=True):
            at = [t for t in range(9) if markers[t] == 1]
            assert sorted(markers) == [0] * 7 + [1, 1]
            assert at[0] < 4 <= at[1]
            assert float(numbers[at[0]]) + float(numbers[at[1]]) == pytest.approx(wanted, abs=1e-6)


def test_numbers_and_markers_are_spread_evenly():
    x, _ = parse_task("adding:T=8").load(None)["train"]
    assert 0 <= x[..., 0].min() < x[..., 0].max() < 1
    assert x[..., 0].mean() == pytest.approx(0.5, abs=0.005)
    assert x[..., 0].var() == pytest.approx(1 / 12, abs=0.002)
    np.testing.assert_allclose(x[..., 1].mean(0), np.full(8, 1 / 4), atol=0.02)


def test_guessing_costs_the_variance_of_the_sum():
    task = parse_task("adding:T=8")
    form, (_, y) = task.target_form, task.load(None)["train"]
    mse, mae, r2 = (metric.guess(steps_of(y, form), form) for metric in task.metrics)
    assert mse == pytest.approx(1 / 6, abs=0.004)
    assert mae == pytest.approx(1 / 3, abs=0.005)  # of a triangle from 0 to 2 around 1
    assert r2 == 0


def test_half_of_the_first_numbers_are_a_needed_span_away():
    task = parse_task("adding:T=8")
    x, _ = task.load(None)["train"]
    (span,) = task.needed_spans
    distances = 7 - x[..., 1].argmax(1)
    assert (distances >= span).mean() == pytest.approx(0.5, abs=0.02)


def test_two_steps_are_the_fewest():
    assert parse_task("adding:T=2").length == 2
    with pytest.raises(UserError, match="T must be at least 2"):
        parse_task("adding:T=1")
