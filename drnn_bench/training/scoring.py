"""A model on a task's data: its outputs and their targets, and the metrics of a split.

Legend: N sequences, B batch, T steps, I input size, S scored steps, O outputs, D targets a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.metrics.forms import Predictions, TargetForm, steps_of
from drnn_bench.metrics.metric import Metric
from drnn_bench.metrics.registry import metric_type
from drnn_bench.models.inputs import Net
from drnn_bench.results.outcomes import block_means
from drnn_bench.system.denormals import flushed
from drnn_bench.tasks.checks import check_target_type
from drnn_bench.tasks.task import Task
from drnn_bench.training.losses import example_losses

# Sequences at once, as in a training step of the default recipe, so that the memory suffices. A
# recipe of smaller batches, as for sequences that fill the memory, has no more than these. 512 may
# take three times as much as that step (a minimal LSTM of 1,249 units on 784 steps: 9.9 GB
# against 3.0), and convolutions alone are faster with them.
EVALUATION_BATCH = 128
STREAM_CHUNK = 10_000  # steps of the one sequence of a stream task
ALWAYS = ("accuracy", "cross_entropy")  # known of every net that is trained on classes


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model made of a split.

    value       the task's metric, which ranks
    outcomes_N  what each example (each step of a stream) adds to it: it is their mean
    values      all metrics of the task by name, and those of ALWAYS
    """

    value: float
    outcomes_N: np.ndarray
    values: Mapping[str, float]

    @property
    def accuracy(self) -> float:
        return self.values["accuracy"]

    @property
    def cross_entropy(self) -> float:
        """In nats."""
        return self.values["cross_entropy"]

    @property
    def standard_error(self) -> float:
        """Of `value`, as far as the split's size goes. Neighbours in a long split may be alike (the
        steps of a text are), so blocks of them count as one."""
        blocks_K = block_means(self.outcomes_N)
        if len(blocks_K) < 2:
            return 0.0
        return float(blocks_K.std(ddof=1) / math.sqrt(len(blocks_K)))


@flushed()
@torch.no_grad()
def evaluate(
    model: Net,
    task: Task,
    data: tuple[np.ndarray, ...],
    device: str = "cpu",
    batch_size: int = EVALUATION_BATCH,
) -> Scores:
    """What a model makes of a split, over all its sequences and scored steps; of no more sequences
    at once than `batch_size`, that of its training."""
    model.eval()
    metrics = _metrics(task)
    batches: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    state, size = None, STREAM_CHUNK if task.stream else min(batch_size, EVALUATION_BATCH)
    for start in range(0, len(data[0]), size):
        rows = slice(start, start + size)
        if task.stream:  # one sequence, its state carried from chunk to chunk
            x, y = data
            y_BT = targets(task, y[None, rows], device)
            outputs, state = model.stream(inputs(task, x[None, rows], device, model), state)
            outputs, y_BT = outputs.transpose(0, 1), y_BT.transpose(0, 1)  # each step an example
        else:
            outputs, y_BT = scored(model, task, data, rows, device)
        batch = _predictions(task, outputs, y_BT, data[1][rows])
        for name, metric in metrics.items():
            batches[name].append(metric.statistics(batch))
    model.train()
    statistics = {name: np.concatenate(parts) for name, parts in batches.items()}
    return Scores(
        value=metrics[task.metric].value(statistics[task.metric]),
        outcomes_N=metrics[task.metric].outcomes(statistics[task.metric]),
        values={name: metric.value(statistics[name]) for name, metric in metrics.items()},
    )


def _metrics(task: Task) -> dict[str, Metric]:
    always = ALWAYS if task.target_form.kind == "classes" else ()
    return {m.name: m for m in (*task.metrics, *(metric_type(name)() for name in always))}


def _predictions(task: Task, outputs_BSO: Tensor, y: Tensor, raw: np.ndarray) -> Predictions:
    """A batch as metrics read it: real outputs in the targets' own unit. Where the sequences of
    batches differ in length, steps that are not scored fill them up: `raw` has all steps."""
    form = task.target_form
    losses_B = example_losses(task.loss_function, form, outputs_BSO, y).double().cpu().numpy()
    y_BS = steps_of(raw, form, task.stream)
    outputs = outputs_BSO.cpu().numpy()
    if form.kind in ("real", "quantiles"):
        offset_O, scale_O = _scaling(task, form)
        outputs = outputs.astype(np.float64) * scale_O + offset_O
    filled = ((0, 0), (0, y_BS.shape[1] - outputs.shape[1]), (0, 0))
    return Predictions(form, np.pad(outputs, filled), y_BS, losses_B)


def _scaling(task: Task, form: TargetForm) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale of each output: those of its target."""
    each = form.outputs // form.targets
    facts = (task.target_offset, task.target_scale)
    offset_O, scale_O = (np.broadcast_to(f, form.targets).repeat(each) for f in facts)
    return offset_O, scale_O


def scored(
    model: Net, task: Task, data: tuple, rows: np.ndarray | slice, device: str
) -> tuple[Tensor, Tensor]:
    """Outputs (B, scored, O) and targets (see `targets`) of some sequences of a split. Where
    sequences have unequal lengths and a target at every step, `scored` is the longest of them."""
    x, y, *rest = (part[rows] for part in data)
    if not rest:
        return model(inputs(task, x, device, model), last=task.scored), targets(task, y, device)
    # Every net is causal, so no scored step depends on what follows a sequence's end. It is zero
    # all the same: a Fourier transform over all steps would round differently.
    lengths_B1 = torch.from_numpy(rest[0]).to(device).view(-1, 1)
    longest = int(lengths_B1.max())
    beyond_BT = torch.arange(longest, device=device) >= lengths_B1
    x_BTI = inputs(task, x[:, :longest], device).masked_fill_(beyond_BT.unsqueeze(2), 0)
    outputs_BTO = model(x_BTI)
    if task.scored != 1:
        return outputs_BTO, targets(task, y[:, :longest], device)
    last_B11 = (lengths_B1 - 1).unsqueeze(2)
    return outputs_BTO.take_along_dim(last_B11, dim=1), targets(task, y, device)


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


def targets(task: Task, y: np.ndarray, device: str) -> Tensor:
    """Targets as training takes them: classes as integers (B, scored), others as floats
    (B, scored, D), NaN where unscored, real ones scaled. Raises UserError where their type is
    another."""
    form = task.target_form
    check_target_type(y.dtype, form, "training")
    if form.kind == "classes":
        return torch.from_numpy(np.array(y)).to(device).long().view(len(y), -1)
    y_BSD = steps_of(y, form)
    if form.kind != "binary":
        y_BSD = (y_BSD - np.array(task.target_offset)) / np.array(task.target_scale)
    return torch.from_numpy(y_BSD.astype(np.float32)).to(device)
