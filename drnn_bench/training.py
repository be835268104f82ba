"""One training run: a model, a task's arrays and a number of steps -> metrics.

Everything random comes from one seed: the initial weights from torch's generator, the order of
the batches from numpy's. The same seed on the same machine gives the same bits.

Legend: N sequences, B batch, T steps, I input size, O classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.models.architecture import Architecture
from drnn_bench.recipe import Recipe
from drnn_bench.tasks.task import Arrays, Task

EVALUATION_BATCH = 512


class Diverged(Exception):
    """The loss was NaN or infinite."""

    def __init__(self, step: int):
        super().__init__(f"loss not finite at step {step}")
        self.step = step


@dataclass
class Trained:
    """The model with its best checkpoint by validation loaded, and how it came about."""

    model: nn.Module
    validation: float  # the task's metric at that checkpoint
    step: int
    seconds: float


def train(
    config: Architecture,
    task: Task,
    arrays: Arrays,
    recipe: Recipe,
    *,
    learning_rate: float,
    steps: int,
    seed: int,
    device: str = "cpu",
    report: Callable[[int, float], None] = lambda evaluation, metric: None,
) -> Trained:
    """Trains from scratch; `report(evaluation, metric)` is called after each of the recipe's
    evaluations, counted from 1, and may raise to stop. Raises Diverged. Never reads the test set.
    """
    torch.manual_seed(seed)
    model = config.build().to(device)
    optimizer = recipe.make_optimizer(model.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.factor(steps))
    x, y = arrays["train"]
    batches = _batches(len(x), recipe.batch_size, seed)
    better = max if task.direction == "max" else min
    best, best_step, best_state = None, 0, None
    started = time.perf_counter()
    evaluations = recipe.evaluation_steps(steps)
    for step in range(1, steps + 1):
        rows = next(batches)
        logits = model(inputs(task, x[rows], device), last=task.scored)
        loss = cross_entropy(logits, targets(y[rows], device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if not math.isfinite(nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)):
            raise Diverged(step)
        optimizer.step()
        schedule.step()
        if step in evaluations:
            metric = evaluate(model, task, *arrays["validation"], device)[task.metric]
            if not math.isfinite(metric):
                raise Diverged(step)
            if best is None or better(metric, best) != best:
                best, best_step = metric, step
                best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
            report(evaluations.index(step) + 1, metric)
    model.load_state_dict(best_state)
    return Trained(model, best, best_step, time.perf_counter() - started)


@torch.no_grad()
def evaluate(
    model: nn.Module, task: Task, x: np.ndarray, y: np.ndarray, device: str = "cpu"
) -> dict[str, float]:
    """Over all sequences and scored steps: accuracy, and cross-entropy in nats."""
    model.eval()
    loss = right = 0.0
    for start in range(0, len(x), EVALUATION_BATCH):
        rows = slice(start, start + EVALUATION_BATCH)
        logits = model(inputs(task, x[rows], device), last=task.scored)
        wanted = targets(y[rows], device)
        loss += float(cross_entropy(logits, wanted, reduction="sum"))
        right += float((logits.argmax(2) == wanted).sum())
    model.train()
    scored = len(x) * task.scored
    return {"accuracy": right / scored, "cross_entropy": loss / scored}


def inputs(task: Task, x: np.ndarray, device: str) -> Tensor:
    """Rows of a task's inputs as the float tensor (B, T, I) that a model takes."""
    tensor = torch.from_numpy(np.array(x)).to(device)
    if task.one_hot:
        return F.one_hot(tensor.long(), task.input_size).float()
    x_BTI = tensor.float().mul_(task.scale)
    return x_BTI.unsqueeze(2) if x_BTI.dim() == 2 else x_BTI


def targets(y: np.ndarray, device: str) -> Tensor:
    """Targets as integers (B, scored)."""
    return torch.from_numpy(np.array(y)).to(device).long().view(len(y), -1)


def cross_entropy(logits_BTO: Tensor, y_BT: Tensor, **options: Any) -> Tensor:
    return F.cross_entropy(logits_BTO.flatten(0, 1), y_BT.flatten(), **options)


def _batches(count: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of batch after batch, epoch after epoch, each epoch in a new order."""
    rng = np.random.default_rng(seed)
    size = min(size, count)
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield np.sort(order[start : start + size])  # sorted: the map is read forwards
