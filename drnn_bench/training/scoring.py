"""A model on a task's data: its logits and their targets, the loss, and the metrics of a split.

Legend: N sequences, B batch, T steps, I input size, O classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.models.inputs import Net
from drnn_bench.tasks.checks import check_target_type
from drnn_bench.tasks.task import UNSCORED, Task

EVALUATION_BATCH = 512  # sequences
STREAM_CHUNK = 10_000  # steps of the one sequence of a stream task


@torch.no_grad()
def evaluate(
    model: Net, task: Task, data: tuple[np.ndarray, ...], device: str = "cpu"
) -> dict[str, float]:
    """The metrics of a split, over all its sequences and scored steps: `accuracy`, `cross_entropy`
    in nats, `bits_per_character` (the cross-entropy in bits)."""
    model.eval()
    loss = right = count = 0.0
    state, size = None, STREAM_CHUNK if task.stream else EVALUATION_BATCH
    for start in range(0, len(data[0]), size):
        rows = slice(start, start + size)
        if task.stream:  # one sequence, its state carried from chunk to chunk
            x, y = data
            y_BT = targets(y[None, rows], device)
            logits, state = model.stream(inputs(task, x[None, rows], device, model), state)
        else:
            logits, y_BT = scored(model, task, data, rows, device)
        loss += float(cross_entropy(logits, y_BT, reduction="sum"))
        right += float((logits.argmax(2) == y_BT).sum())
        count += float((y_BT != UNSCORED).sum())
    model.train()
    nats = loss / count
    return {
        "accuracy": right / count,
        "cross_entropy": nats,
        "bits_per_character": nats / math.log(2),
    }


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
