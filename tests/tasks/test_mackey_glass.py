"""The Mackey-Glass series: an oracle of the generator, and what forecasts cost that learn
nothing. The contract of tasks is in test_tasks.py."""

from __future__ import annotations

import numpy as np
import pytest

from drnn_bench.errors import UserError
from drnn_bench.metrics.forms import Predictions, steps_of
from drnn_bench.tasks.mackey_glass import LEFT_OUT, mackey_glass
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import SPLITS
from drnn_bench.testing.tasks import Source

SHORT = Source("mackey_glass:T=6")


def euler(tau: int, units: int, per_unit: int) -> list[float]:
    """The equation by Euler's method: first order, so errors shrink with the step."""
    x = [1.2]
    for k in range(units * per_unit):
        delayed = x[k - tau * per_unit] if k >= tau * per_unit else 1.2
        x.append(x[k] + (0.2 * delayed / (1 + delayed**10) - 0.1 * x[k]) / per_unit)
    return x[::per_unit]


@pytest.mark.parametrize("tau", [5, 17])
def test_the_series_is_where_eulers_method_converges_to(tau):
    ours = mackey_glass(tau, 101)
    coarse, fine = (np.array(euler(tau, 100, per_unit)) for per_unit in (200, 400))
    # Richardson: the error of the first order cancels.
    np.testing.assert_allclose(ours, 2 * fine - coarse, atol=1e-4)
    assert np.abs(ours - coarse).max() > 3e-4  # so 1e-4 says something


def test_the_first_delay_is_the_exact_solution():
    """Within the first delay the equation is linear, x' = c - 0.1 x, and has a solution."""
    c = 0.2 * 1.2 / (1 + 1.2**10)
    t = np.arange(18)
    np.testing.assert_allclose(
        mackey_glass(17, 18), 10 * c + (1.2 - 10 * c) * np.exp(-0.1 * t), atol=1e-8
    )


def test_a_window_and_its_target_are_samples_of_one_series():
    task, arrays = SHORT.task, SHORT.load()
    series = mackey_glass(17, LEFT_OUT + 10_000 + 5_000 + 10_000 + 3 * 20)[LEFT_OUT:]
    after = 0  # the first sample that no earlier split has used
    for split, (count, stride) in zip(SPLITS, [(10_000, 1), (1_000, 5), (2_000, 5)], strict=True):
        x_NT, y_N = arrays[split]
        assert len(x_NT) == len(y_N) == count
        for n in (0, 1, count - 1):
            first = after + n * stride
            window = (series[first : first + 6] - 1) / 0.25
            np.testing.assert_allclose(x_NT[n], window, atol=1e-6)
            assert y_N[n] == pytest.approx(series[first + 5 + task.horizon])
        after += (count - 1) * stride + 6 + 15


def test_what_the_mean_and_persistence_cost():
    task, form = SHORT.task, SHORT.task.target_form
    x, y = SHORT.load()["train"]
    assert task.metrics[0].guess(steps_of(y, form), form) == pytest.approx(0.226, abs=0.002)
    x, y = SHORT.load()["test"]
    persistence = Predictions(
        form, (x[:, -1:, None] * 0.25 + 1).astype(np.float64), steps_of(y, form), np.zeros(len(y))
    )
    values = {metric.name: metric.value(metric.statistics(persistence)) for metric in task.metrics}
    assert values["rmse"] == pytest.approx(0.366, abs=0.002)
    assert values["mase"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("option", ["tau=4", "horizon=0", "T=1"])
def test_an_option_out_of_its_range_is_refused(option):
    with pytest.raises(UserError, match=f"{option.partition('=')[0]} must be at least"):
        parse_task(f"mackey_glass:{option}")


def test_the_horizon_is_part_of_the_task():
    near = parse_task("mackey_glass:T=6,horizon=1")
    assert near.naive_error < SHORT.task.naive_error / 5
    assert near.key == "mackey_glass:T=6,tau=17,horizon=1"
