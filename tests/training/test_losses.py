"""Losses and scores of every form of targets, against loops over single targets in float64.

Legend: B batch, S scored steps, O outputs, D targets a step, Q quantiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.execution.carry import drain
from drnn_bench.metrics.forms import UNSCORED, TargetForm
from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.tasks.task import Task
from drnn_bench.training.loop import train
from drnn_bench.training.losses import example_losses, mean_loss
from drnn_bench.training.scoring import evaluate

LEVELS = (0.1, 0.5, 0.8)
FORMS = {
    "cross_entropy": TargetForm("classes", 3),
    "bce": TargetForm("binary", 2),
    "mse": TargetForm("real", 2),
    "mae": TargetForm("real", 2),
    "quantile": TargetForm("quantiles", 6, LEVELS),
}


def cost(loss, outputs, y, d):
    """Of one target, from its definition."""
    if loss == "cross_entropy":
        return math.log(sum(math.exp(z) for z in outputs)) - outputs[y]
    if loss == "bce":
        p = 1 / (1 + math.exp(-outputs[d]))
        return -math.log(p if y == 1 else 1 - p)
    if loss == "quantile":
        short = [y - outputs[3 * d + q] for q in range(3)]
        return sum(q * e if e > 0 else (q - 1) * e for q, e in zip(LEVELS, short, strict=True)) / 3
    error = outputs[d] - y
    return error * error if loss == "mse" else abs(error)


def drawn(loss, seed):
    form, rng = FORMS[loss], np.random.default_rng(seed)
    outputs = rng.normal(0, 2, (4, 3, form.outputs))
    if form.kind == "classes":
        y = rng.integers(0, 3, (4, 3))
        y[rng.random(y.shape) < 0.3] = UNSCORED
        y[0, 0] = 1
        return outputs, y
    y = rng.normal(0, 2, (4, 3, 2))
    y = (y > 0).astype(float) if form.kind == "binary" else y
    y[rng.random(y.shape) < 0.3] = np.nan
    y[0, 0] = 1.0
    return outputs, y


@pytest.mark.parametrize("loss", FORMS)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_a_loss_is_the_mean_over_scored_targets(loss, seed):
    outputs, y = drawn(loss, seed)
    sums = []
    for b in range(4):
        each = y[b].reshape(3, -1)
        costs = [cost(loss, outputs[b, s], each[s, d], d)
                 for s in range(3) for d in range(each.shape[1])
                 if each[s, d] != UNSCORED and not np.isnan(each[s, d])]  # fmt: skip
        sums.append(costs)
    z = torch.tensor(outputs, requires_grad=True)
    mean = mean_loss(loss, FORMS[loss], z, torch.tensor(y))
    flat = [c for costs in sums for c in costs]
    assert mean.item() == pytest.approx(sum(flat) / len(flat))
    mean.backward()
    assert z.grad.isfinite().all()
    by_example = example_losses(loss, FORMS[loss], z, torch.tensor(y)).tolist()
    assert by_example == pytest.approx([sum(costs) for costs in sums])


@dataclass(frozen=True, kw_only=True)
class _Means(Task):
    """The mean of a sequence and that of its negation, in units of 1,000 around 5,000."""

    name: ClassVar[str] = "means"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "means of sequences"
    length: ClassVar[int] = 6
    scored: ClassVar[int] = 1
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 2
    target_offset: ClassVar[tuple[float, ...]] = (5000.0, -5000.0)
    target_scale: ClassVar[float] = 1000.0

    def load(self, data_dir):
        rng = np.random.default_rng(0)
        x = rng.normal(0, 1, (300, 6)).astype(np.float32)
        y = 5000 + 1000 * x.mean(1, keepdims=True)
        y = np.stack([y, -y], axis=2).astype(np.float32)
        return {"train": (x[:200], y[:200]), "validation": (x[200:250], y[200:250]),
                "test": (x[250:], y[250:])}  # fmt: skip


class Squared(_Means):
    loss_function: ClassVar[str] = "mse"
    metric: ClassVar[str] = "rmse"
    other_metrics: ClassVar[tuple[str, ...]] = ("r2", "mae")


class Absolute(_Means):
    loss_function: ClassVar[str] = "mae"
    metric: ClassVar[str] = "mae"


class Quantiles(_Means):
    loss_function: ClassVar[str] = "quantile"
    metric: ClassVar[str] = "pinball"
    other_metrics: ClassVar[tuple[str, ...]] = ("mae",)
    output_size: ClassVar[int] = 6


class Signs(_Means):
    loss_function: ClassVar[str] = "bce"
    metric: ClassVar[str] = "auroc"
    other_metrics: ClassVar[tuple[str, ...]] = ("accuracy", "cross_entropy")

    def load(self, data_dir):
        arrays = super().load(data_dir)
        return {s: (x, (y > [5000, -5000]).astype(np.uint8)) for s, (x, y) in arrays.items()}


@pytest.mark.parametrize("kind", [Squared, Absolute, Quantiles, Signs])
def test_every_loss_trains_a_net_to_be_better_than_guessing(kind):
    task = kind()
    arrays = task.load(None)
    net = configure("lstm", input_size=1, output_size=task.output_size, width=8, depth=1)
    running = train(net, task, arrays, Recipe(), learning_rate=2e-2, steps=150, seed=0)
    trained = drain(running)
    scores = evaluate(trained.model, task, arrays["test"])
    form, metric = task.target_form, task.metrics[0]
    guess = metric.guess(arrays["train"][1].astype(np.float64).reshape(200, 1, -1), form)
    sign = 1 if metric.direction == "max" else -1
    assert scores.value > 0.8 if sign > 0 else scores.value < 0.6 * guess
    assert set(scores.values) == {task.metric, *task.other_metrics}
    assert scores.outcomes_N.mean() == pytest.approx(scores.value)
    assert scores.standard_error > 0


def test_scores_are_in_the_targets_own_unit():
    """An untrained net whose answers are all 0 is 5,000 off."""
    task = Squared()
    arrays = task.load(None)
    model = configure("rnn", input_size=1, output_size=2, width=4, depth=1).build()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    scores = evaluate(model, task, arrays["test"])
    y = arrays["test"][1].astype(np.float64)
    expected = np.sqrt(((y - [5000, -5000]) ** 2).mean((0, 1))).mean()
    assert scores.value == pytest.approx(expected)
    assert scores.values["mae"] == pytest.approx(np.abs(y - [5000, -5000]).mean())
