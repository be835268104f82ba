"""The net that speeds are compared with, and what a session says of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.models.budget import count_parameters
from drnn_bench.models.registry import make_architecture
from drnn_bench.results.schema import fault
from drnn_bench.speed.reference import reference_net
from drnn_bench.speed.throughput import side_by_side
from drnn_bench.speed.workload import Runner
from drnn_bench.tasks.registry import parse_task
from tests.support.rows import real_rows
from tests.support.workloads import SMALL, work

DIGITS = parse_task("pixel_digits")


def lstm(width: int) -> int:
    """Parameters of one LSTM layer and its head, one input and ten classes, from the equations."""
    return 4 * width * (1 + width + 1) + 10 * (width + 1)


@settings(deadline=None)
@given(st.integers(1, 30_000))
def test_the_reference_is_the_widest_lstm_of_one_layer_within_the_budget(budget):
    net = reference_net(DIGITS, budget)
    (width,) = net.widths
    assert (net.family, net.layers) == ("lstm", 1)
    assert count_parameters(net) == lstm(width)
    assert lstm(width + 1) > budget
    assert width == 1 or lstm(width) <= budget


def test_a_session_measures_the_reference_whatever_was_searched():
    speed = real_rows()["speed"]
    assert speed["family"] == "dilated_cnn"
    reference = speed["reference"]
    assert (reference["family"], reference["config"]["depth"]) == ("lstm", 1)
    sizes = {"input_size": DIGITS.input_size, "output_size": DIGITS.output_size}
    net = make_architecture("lstm", **sizes, **reference["config"])
    assert net == reference_net(DIGITS, speed["budget"])
    assert reference["parameters"] == count_parameters(net)
    for name in ("train", "infer", "train_all", "infer_all"):
        assert speed[f"{name}_per_s"] > 0
        assert reference[f"{name}_per_s"] > 0
    assert fault(speed) is None
    assert "reference.train_per_s" in str(fault(speed | {"reference": reference | {
        "train_per_s": "fast"}}))  # fmt: skip


@pytest.mark.parametrize(
    ("task", "computed", "scored"),
    [("pixel_digits", (1, 64), (1, 64)), ("copy_memory:T=50", (10, 70), (10, 70))],
)
def test_all_steps_are_computed_and_scored_beside_those_that_the_task_scores(
    task, computed, scored
):
    runner, outputs, targets = Runner(work("lstm", task=parse_task(task)), "cpu"), [], []
    real = runner.model.forward

    def watched(x_BTI, last=None):
        logits_BTO = real(x_BTI, last=last)
        outputs.append(logits_BTO.shape[1])
        logits_BTO.register_hook(lambda grad: targets.append(int(grad.abs().sum(2).gt(0)[0].sum())))
        return logits_BTO

    runner.model.forward = watched
    runner.train()
    runner.train_all()
    assert tuple(outputs) == computed
    assert tuple(targets) == scored  # how many outputs have a gradient


def test_where_every_step_is_scored_nothing_is_timed_twice(monkeypatch):
    monkeypatch.setattr("drnn_bench.speed.throughput.peak_memory", lambda works, device: [None])
    net = work("dilated_cnn", task=parse_task("copy_memory:T=1"), length=10, depth=1)
    assert net.every_step
    [[row]] = side_by_side([[net]], "cpu", threads=1)
    for end in ("", "_low", "_high"):
        assert row[f"train_all_per_s{end}"] == row[f"train_per_s{end}"]
        assert row[f"infer_all_per_s{end}"] == row[f"infer_per_s{end}"]
    assert SMALL.batch_size == row["batch_size"]
