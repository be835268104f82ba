"""A model on a task's data: its logits and their targets, the loss, and the metrics of a split.

Legend: N sequences, B batch, T steps, I input size, O classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.models.inputs import Net
from drnn_bench.results.outcomes import block_means
from drnn_bench.tasks.checks import check_target_type
from drnn_bench.tasks.task import UNSCORED, Task

EVALUATION_BATCH = 512  # sequences
STREAM_CHUNK = 10_000  # steps of the one sequence of a stream task


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model made of a split. `outcomes_N`: what each example (each step of a stream) adds
    to `value`, which is their mean, in the metric's own unit."""

    metric: str
    accuracy: float
    cross_entropy: float  # nats
    outcomes_N: np.ndarray

    @property
    def bits_per_character(self) -> float:
        return self.cross_entropy / math.log(2)

    @property
    def value(self) -> float:
        """The task's metric."""
        return getattr(self, self.metric)

    @property
    def standard_error(self) -> float:
        """Of `value`, as far as the split's size goes. Neighbours in a long split may be alike (the
        steps of a text are), so blocks of them count as one."""
        blocks_K = block_means(self.outcomes_N)
        if len(blocks_K) < 2:
            return 0.0
        return float(blocks_K.std(ddof=1) / math.sqrt(len(blocks_K)))


@torch.no_grad()
def evaluate(model: Net, task: Task, data: tuple[np.ndarray, ...], device: str = "cpu") -> Scores:
    """What a model makes of a split, over all its sequences and scored steps."""
    model.eval()
    parts: list[tuple[Tensor, Tensor, Tensor]] = []  # per example: nats, right steps, scored steps
    state, size = None, STREAM_CHUNK if task.stream else EVALUATION_BATCH
    for start in range(0, len(data[0]), size):
        rows = slice(start, start + size)
        if task.stream:  # one sequence, its state carried from chunk to chunk
            x, y = data
            y_BT = targets(y[None, rows], device)
            logits, state = model.stream(inputs(task, x[None, rows], device, model), state)
            logits, y_BT = logits.transpose(0, 1), y_BT.transpose(0, 1)  # each step an example
        else:
            logits, y_BT = scored(model, task, data, rows, device)
        nats_B = cross_entropy(logits, y_BT, reduction="none").view_as(y_BT).sum(1)
        right_B = (logits.argmax(2) == y_BT).sum(1)
        parts.append((nats_B.double(), right_B.double(), (y_BT != UNSCORED).sum(1).double()))
    model.train()
    nats_N, right_N, steps_N = (
        torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True)
    )
    count = steps_N.sum()
    adds_N = {
        "accuracy": right_N,
        "cross_entropy": nats_N,
        "bits_per_character": nats_N / math.log(2),
    }[task.metric]
    return Scores(
        metric=task.metric,
        accuracy=float(right_N.sum() / count),
        cross_entropy=float(nats_N.sum() / count),
        outcomes_N=adds_N * (len(steps_N) / count),
    )


def scored(
    model: Net, task: Task, data: tuple, rows: np.ndarray | slice, device: str
) -> tuple[Tensor, Tensor]:
    """Logits (B, scored, O) and targets (B, scored) of some sequences of a split. Where sequences
    have unequal lengths and a target at every step, `scored` is the longest of them."""
    x, y, *rest = (part[rows] for part in data)
    if not rest:
        return model(inputs(task, x, device, model), last=task.scored), targets(y, device)
    # Every net is causal, so no scored step depends on what follows a sequence's end. It is zero
    # all the same: a Fourier transform over all steps would round differently.
    lengths_B1 = torch.from_numpy(rest[0]).to(device).view(-1, 1)
    longest = int(lengths_B1.max())
    beyond_BT = torch.arange(longest, device=device) >= lengths_B1
    x_BTI = inputs(task, x[:, :longest], device).masked_fill_(beyond_BT.unsqueeze(2), 0)
    logits_BTO = model(x_BTI)
    if y.ndim == 2:
        return logits_BTO, targets(y[:, :longest], device)
    last_B11 = (lengths_B1 - 1).unsqueeze(2)
    return logits_BTO.take_along_dim(last_B11, dim=1), targets(y, device)


def inputs(task: Task, x: np.ndarray, device: str, model: Net | None = None) -> Tensor:
    """Rows of a task's inputs as a model takes them: floats (B, T, I), or for a model that takes
    symbols those of a one-hot task (B, T)."""
    tensor = torch.from_numpy(np.array(x)).to(device)
    if task.one_hot:
        symbols = tensor.long()
        if getattr(model, "takes_symbols", False):
            return symbols
        return F.one_hot(symbols, task.input_size).float()
    x_BTI = tensor.float().mul_(task.scale)
    return x_BTI.unsqueeze(2) if x_BTI.dim() == 2 else x_BTI


def targets(y: np.ndarray, device: str) -> Tensor:
    """Targets as integers (B, scored). Raises UserError where they are not whole numbers."""
    check_target_type(y.dtype, "training")
    return torch.from_numpy(np.array(y)).to(device).long().view(len(y), -1)


def cross_entropy(logits_BTO: Tensor, y_BT: Tensor, **options: Any) -> Tensor:
    """The mean over the scored steps, in nats; torch leaves out targets of UNSCORED."""
    return F.cross_entropy(logits_BTO.flatten(0, 1), y_BT.flatten(), **options)
