"""Sequences of different lengths: what stands beyond an end changes nothing, for any family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from drnn_bench.execution.carry import drain
from drnn_bench.models.build import build, configure
from drnn_bench.models.names import FAMILIES
from drnn_bench.results.recipe import Recipe
from drnn_bench.tasks.task import SPLITS, UNSCORED, Task
from drnn_bench.testing.nets import close
from drnn_bench.training.loop import train
from drnn_bench.training.losses import cross_entropy
from drnn_bench.training.scoring import evaluate, scored
from tests.support.nets import NETS

LENGTHS = np.array([1, 23, 5, 9, 23, 14, 2, 18])
ROWS = slice(None)
SIZES = {"input_size": 3, "output_size": 4}


@dataclass(frozen=True, kw_only=True)
class Ragged(Task):
    """Eight sequences of 1 to 23 steps, labelled once or at each step."""

    per_step: bool

    name: ClassVar[str] = "ragged"
    metric: ClassVar[str] = "accuracy"
    input_size: ClassVar[int] = 3
    output_size: ClassVar[int] = 4
    length: ClassVar[int] = 23
    unequal: ClassVar[bool] = True

    @property
    def scored(self) -> int:
        return self.length if self.per_step else 1

    def data(self, padding: float = 0.0, beyond: int = 0) -> tuple[np.ndarray, ...]:
        rng = np.random.RandomState(0)
        shape = (len(LENGTHS), self.length + beyond)
        x = np.full((*shape, 3), padding, np.float32)
        y = np.full(shape, UNSCORED)
        for i, length in enumerate(LENGTHS):
            x[i, :length] = rng.randn(length, 3)
            y[i, :length] = rng.randint(0, 4, length)
        return x, y if self.per_step else y[:, 0], LENGTHS


def loss_and_gradients(model, task, data):
    model.zero_grad()
    loss = cross_entropy(*scored(model, task, data, ROWS, "cpu"))
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters())]


@pytest.fixture(params=[False, True], ids=["last step", "every step"])
def task(request) -> Ragged:
    return Ragged(per_step=request.param)


@pytest.mark.parametrize("family", FAMILIES)
class TestPadding:
    @pytest.fixture
    def model(self, family):
        torch.manual_seed(0)
        return build(family, **SIZES, **NETS[family][0])

    def test_neither_its_values_nor_its_amount_changes_a_bit(self, model, task):
        plain = loss_and_gradients(model, task, task.data())
        for other in (task.data(padding=1e3), task.data(padding=-5.0, beyond=40)):
            for a, b in zip(plain, loss_and_gradients(model, task, other), strict=True):
                assert torch.equal(a, b)
            there, here = evaluate(model, task, other), evaluate(model, task, task.data())
            assert (there.outcomes_N == here.outcomes_N).all()
            assert there.cross_entropy == here.cross_entropy

    def test_each_sequence_alone_says_the_same(self, model, task):
        x, y, _ = task.data()
        whole, wanted = scored(model, task, task.data(), ROWS, "cpu")
        for i, length in enumerate(LENGTHS):
            alone = model(torch.from_numpy(x[i : i + 1, :length]))[0]
            if not task.per_step:
                assert close(whole[i], alone[-1:], 1e-5)
                continue
            assert close(whole[i, :length], alone, 1e-5)
            assert (wanted[i, :length].numpy() == y[i, :length]).all()
            assert (wanted[i, length:] == UNSCORED).all()


def test_a_metric_counts_real_steps_only():
    task = Ragged(per_step=True)
    x, y, lengths = task.data()

    class Says(torch.nn.Module):  # class 0, whatever it reads
        def forward(self, x_BTI, last=None):
            return torch.tensor([1.0, 0, 0, 0]).expand(*x_BTI.shape[:2], 4)

    real = np.concatenate([row[:n] for row, n in zip(y, lengths, strict=True)])
    assert evaluate(Says(), task, (x, y, lengths)).accuracy == (real == 0).mean()


def test_training_on_ragged_data_is_the_same_whatever_the_padding(task):
    def run(**padding):
        arrays = dict.fromkeys(SPLITS, task.data(**padding))
        config = configure("dilated_rnn", **SIZES, **NETS["dilated_rnn"][0])
        recipe = Recipe(batch_size=3)
        running = train(config, task, arrays, recipe, learning_rate=0.01, steps=9, seed=1)
        return drain(running)

    first, other = run(), run(padding=7.0, beyond=3)
    assert first.validation == other.validation
    states = zip(first.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)
