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
from drnn_bench.models.streaming import detach
from drnn_bench.recipe import Recipe
from drnn_bench.tasks.task import Arrays, Task

EVALUATION_BATCH = 512  # sequences
STREAM_CHUNK = 10_000  # steps of the one sequence of a stream task


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
    weights = flatten(model)
    optimizer = recipe.make_optimizer([weights], learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.factor(steps))
    losses = (_stream_losses if task.stream else _batch_losses)(
        model, task, arrays["train"], recipe.batch_size, seed, device
    )
    better = max if task.direction == "max" else min
    best, best_step, best_state = None, 0, None
    started = time.perf_counter()
    evaluations = recipe.evaluation_steps(steps)
    for step in range(1, steps + 1):
        loss = next(losses)
        weights.grad.zero_()
        loss.backward()
        if not math.isfinite(nn.utils.clip_grad_norm_(weights, recipe.clip_norm)):
            raise Diverged(step)
        optimizer.step()
        schedule.step()
        if step in evaluations:
            held_out = (part[: task.prefix] for part in arrays["validation"])
            metric = evaluate(model, task, *held_out, device)[task.metric]
            if not math.isfinite(metric):
                raise Diverged(step)
            if best is None or better(metric, best) != best:
                best, best_step = metric, step
                best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
            report(evaluations.index(step) + 1, metric)
    model.load_state_dict(best_state)
    return Trained(model, best, best_step, time.perf_counter() - started)


def flatten(model: nn.Module) -> nn.Parameter:
    """All weights as one, of which the model's own become views, gradients included.

    These nets have few weights in many tensors: clipping and updating them one by one took a fifth
    of a step of a small net, and takes a fiftieth so.
    """
    own = list(model.parameters())
    weights = nn.Parameter(torch.cat([p.detach().flatten() for p in own]))
    weights.grad = torch.zeros_like(weights)
    sizes = [p.numel() for p in own]
    for p, value, grad in zip(own, weights.split(sizes), weights.grad.split(sizes), strict=True):
        p.data, p.grad = value.detach().view_as(p), grad.view_as(p)
    return weights


@torch.no_grad()
def evaluate(
    model: nn.Module, task: Task, x: np.ndarray, y: np.ndarray, device: str = "cpu"
) -> dict[str, float]:
    """Over all sequences and scored steps: accuracy, cross-entropy in nats and in bits."""
    model.eval()
    loss = right = scored = 0.0
    state, size = None, STREAM_CHUNK if task.stream else EVALUATION_BATCH
    for start in range(0, len(x), size):
        rows = slice(start, start + size)
        if task.stream:  # one sequence, its state carried from chunk to chunk
            wanted = targets(y[None, rows], device)
            logits, state = model.stream(inputs(task, x[None, rows], device, model), state)
        else:
            wanted = targets(y[rows], device)
            logits = model(inputs(task, x[rows], device, model), last=task.scored)
        loss += float(cross_entropy(logits, wanted, reduction="sum"))
        right += float((logits.argmax(2) == wanted).sum())
        scored += wanted.numel()
    model.train()
    nats = loss / scored
    return {
        "accuracy": right / scored,
        "cross_entropy": nats,
        "bits_per_character": nats / math.log(2),
    }


def _batch_losses(
    model: nn.Module, task: Task, data: tuple, batch: int, seed: int, device: str
) -> Iterator[Tensor]:
    """The loss of batch after batch of whole sequences."""
    x, y = data
    for rows in _batches(len(x), batch, seed):
        logits = model(inputs(task, x[rows], device, model), last=task.scored)
        yield cross_entropy(logits, targets(y[rows], device))


def _stream_losses(
    model: nn.Module, task: Task, data: tuple, batch: int, seed: int, device: str
) -> Iterator[Tensor]:
    """The loss of chunk after chunk along `batch` contiguous streams; the state goes on, the
    gradient stops at a chunk's beginning. Each pass begins at another place of the text."""
    rng = np.random.default_rng(seed)
    x, y = data
    batch = min(batch, max(1, len(x) // (2 * task.length)))
    per = len(x) // batch
    while True:
        turn = int(rng.integers(len(x)))
        rows = (np.arange(batch)[:, None] * per + np.arange(per) + turn) % len(x)
        state = None
        for start in range(0, per - task.length + 1, task.length):
            chunk = rows[:, start : start + task.length]
            logits, state = model.stream(inputs(task, x[chunk], device, model), detach(state))
            yield cross_entropy(logits, targets(y[chunk], device))


def inputs(task: Task, x: np.ndarray, device: str, model: nn.Module | None = None) -> Tensor:
    """Rows of a task's inputs as the model takes them: floats (B, T, I), or symbols (B, T)
    where it knows them."""
    tensor = torch.from_numpy(np.array(x)).to(device)
    if task.one_hot:
        symbols = tensor.long()
        if getattr(model, "takes_symbols", False):
            return symbols
        return F.one_hot(symbols, task.input_size).float()
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
