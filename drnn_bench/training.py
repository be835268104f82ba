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
from drnn_bench.tasks.checks import check_target_type
from drnn_bench.tasks.task import UNSCORED, Arrays, Task

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
    curve: list[list[float]]  # [step, metric] of every evaluation


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
    optimizer = recipe.make_optimizer(weights, learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.factor(steps))
    losses = (_stream_losses if task.stream else _batch_losses)(
        model, task, arrays["train"], recipe.batch_size, seed, device
    )
    better = max if task.direction == "max" else min
    best, best_step, best_state, curve = None, 0, None, []
    started = time.perf_counter()
    evaluations = recipe.evaluation_steps(steps)
    for step in range(1, steps + 1):
        loss = next(losses)
        optimizer.zero_grad(set_to_none=False)  # the gradients are views of one
        loss.backward()
        if not math.isfinite(nn.utils.clip_grad_norm_(weights, recipe.clip_norm)):
            raise Diverged(step)
        optimizer.step()
        schedule.step()
        if step in evaluations:
            held_out = tuple(part[: task.prefix] for part in arrays["validation"])
            metric = evaluate(model, task, held_out, device)[task.metric]
            if not math.isfinite(metric):
                raise Diverged(step)
            curve.append([step, metric])
            if best is None or better(metric, best) != best:
                best, best_step = metric, step
                best_state = {k: v.detach().clone() for k, v in model.state_dict().items()}
            report(evaluations.index(step) + 1, metric)
    model.load_state_dict(best_state)
    return Trained(model, best, best_step, time.perf_counter() - started, curve)


def flatten(model: nn.Module) -> list[nn.Parameter]:
    """All weights as one, of which the model's own become views, gradients included; where they
    are of several types, as they are.

    These nets have few weights in many tensors: clipping and updating them one by one took a fifth
    of a step of a small net, and takes a fiftieth so.
    """
    own = list(model.parameters())
    if len({p.dtype for p in own}) > 1:
        return own
    # Each begins at a multiple of 16: a complex view, or a vector load, wants no odd place.
    sizes = [-(-p.numel() // 16) * 16 for p in own]
    weights = nn.Parameter(own[0].new_zeros(sum(sizes)))
    weights.grad = torch.zeros_like(weights)
    parts = zip(own, weights.detach().split(sizes), weights.grad.split(sizes), strict=True)
    for p, value, grad in parts:
        value[: p.numel()] = p.detach().flatten()
        p.data, p.grad = value[: p.numel()].view_as(p), grad[: p.numel()].view_as(p)
    return [weights]


@torch.no_grad()
def evaluate(
    model: nn.Module, task: Task, data: tuple[np.ndarray, ...], device: str = "cpu"
) -> dict[str, float]:
    """Over all sequences and scored steps of a split: accuracy, cross-entropy in nats, in bits."""
    model.eval()
    loss = right = count = 0.0
    state, size = None, STREAM_CHUNK if task.stream else EVALUATION_BATCH
    for start in range(0, len(data[0]), size):
        rows = slice(start, start + size)
        if task.stream:  # one sequence, its state carried from chunk to chunk
            x, y = data
            wanted = targets(y[None, rows], device)
            logits, state = model.stream(inputs(task, x[None, rows], device, model), state)
        else:
            logits, wanted = scored(model, task, data, rows, device)
        loss += float(cross_entropy(logits, wanted, reduction="sum"))
        right += float((logits.argmax(2) == wanted).sum())
        count += float((wanted != UNSCORED).sum())
    model.train()
    nats = loss / count
    return {
        "accuracy": right / count,
        "cross_entropy": nats,
        "bits_per_character": nats / math.log(2),
    }


def _batch_losses(
    model: nn.Module, task: Task, data: tuple, batch: int, seed: int, device: str
) -> Iterator[Tensor]:
    """The loss of batch after batch of whole sequences."""
    for rows in _batches(len(data[0]), batch, seed):
        yield cross_entropy(*scored(model, task, data, rows, device))


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


def scored(
    model: nn.Module, task: Task, data: tuple, rows: np.ndarray | slice, device: str
) -> tuple[Tensor, Tensor]:
    """Logits (B, scored, O) and targets (B, scored) of some sequences of a split."""
    x, y, *rest = (part[rows] for part in data)
    if not rest:
        return model(inputs(task, x, device, model), last=task.scored), targets(y, device)
    # Every net is causal, so what follows a sequence's end cannot reach a step that is scored; but
    # a Fourier transform over all steps would round differently, so there are zeros.
    lengths_B1 = torch.from_numpy(rest[0]).to(device).view(-1, 1)
    longest = int(lengths_B1.max())
    beyond_BT = torch.arange(longest, device=device) >= lengths_B1
    x_BTI = inputs(task, x[:, :longest], device).masked_fill_(beyond_BT.unsqueeze(2), 0)
    logits_BTO = model(x_BTI)
    if y.ndim == 2:
        return logits_BTO, targets(y[:, :longest], device)
    last_B11 = (lengths_B1 - 1).unsqueeze(2)
    return logits_BTO.take_along_dim(last_B11, dim=1), targets(y, device)


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
    """Targets as integers (B, scored). Raises UserError where they are none: nothing is rounded."""
    check_target_type(y.dtype, "training")
    return torch.from_numpy(np.array(y)).to(device).long().view(len(y), -1)


def cross_entropy(logits_BTO: Tensor, y_BT: Tensor, **options: Any) -> Tensor:
    """The mean over the steps that are scored (torch leaves out targets of UNSCORED)."""
    return F.cross_entropy(logits_BTO.flatten(0, 1), y_BT.flatten(), **options)


def _batches(count: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of batch after batch, epoch after epoch, each epoch in a new order."""
    rng = np.random.default_rng(seed)
    size = min(size, count)
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield np.sort(order[start : start + size])  # sorted: the map is read forwards
