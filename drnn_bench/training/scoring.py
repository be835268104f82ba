"""What a model makes of a task's data: logits beside targets, the loss, and the metrics of a split.

Legend: N sequences, B batch, T steps, I input size, O classes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.tasks.checks import check_target_type
from drnn_bench.tasks.task import UNSCORED, Task

EVALUATION_BATCH = 512  # sequences
STREAM_CHUNK = 10_000  # steps of the one sequence of a stream task


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
