"""The two graphs of a net: whole sequences, and one step with its state as tensors.

    model  raw inputs [B, T, C] -> answers at every step [B, T, ..]
    step   raw inputs of a step [B, C] and the state -> answers [B, ..] and the state after it

Legend: B batch, T steps, C channels, S steps or none, O outputs, D targets, Q quantiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from drnn_bench.export.described import OUTPUTS, Answers, Described
from drnn_bench.export.onnx.raw import Entering
from drnn_bench.kernels import over_steps
from drnn_bench.models.inputs import Net
from drnn_bench.models.plain_step import PlainStep

NEXT = "next_"  # before the name of a state's tensor, where it comes out
LAST = "last_values"  # the state of inputs whose missing values repeat


class Model(nn.Module):
    """Of whole sequences. `runs` is the net, or `Walked` where it cannot be traced for any
    length."""

    def __init__(self, said: Described, net: Net, runs: nn.Module):
        super().__init__()
        self.entering, self.runs, self.answers = Entering(said.inputs, net), runs, said.answers
        self.inputs = tuple(said.inputs.raw)
        self.outputs = OUTPUTS[said.answers.form.kind]

    def forward(self, *raw: Tensor) -> tuple[Tensor, ...]:
        x_BTI, _ = self.entering(raw)
        return meant(self.answers, self.runs(x_BTI))

    def example(self) -> tuple[Tensor, ...]:
        return self.entering.example(2, 50)

    def dynamic(self) -> tuple[Any, ...]:
        return (tuple({0: Dim.DYNAMIC, 1: Dim.DYNAMIC} for _ in self.inputs),)

    def axes(self) -> dict[str, dict[int, str]]:
        """The dynamic axes of all inputs and outputs, and what they are called."""
        return {name: {0: "batch", 1: "length"} for name in (*self.inputs, *self.outputs)}


class Step(nn.Module):
    """Of one step."""

    def __init__(self, said: Described, net: Net, step: PlainStep):
        super().__init__()
        self.entering, self.step, self.answers = Entering(said.inputs, net), step, said.answers
        self.inputs = tuple(said.inputs.raw)
        self.outputs = OUTPUTS[said.answers.form.kind]
        self.states = (LAST,) * self.entering.repeats + step.names

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        raw, state = given[: len(self.inputs)], given[len(self.inputs) :]
        before = ()
        if self.entering.repeats:
            before, state = state[:1], state[1:]
        x_B1I, *last = self.entering(tuple(part.unsqueeze(1) for part in raw), *before)
        y_B1O, *after = self.step(x_B1I, *state)
        return *meant(self.answers, y_B1O[:, 0]), *(last if before else ()), *after

    def first(self, batch: int) -> dict[str, Tensor]:
        """The state before the first step: zeros."""
        channels = self.entering.inputs.channels
        carried = {LAST: torch.zeros(batch, channels)} if self.entering.repeats else {}
        return carried | self.step.first(batch)

    def example(self) -> tuple[Tensor, ...]:
        raw = (part[:, 0] for part in self.entering.example(2, 1))
        carried = [*self.first(2).values()][: self.entering.repeats]
        return *raw, *carried, *self.step.example()[1:]

    def dynamic(self) -> tuple[Any, ...]:
        carried = ({0: Dim.DYNAMIC},) * self.entering.repeats
        raw = ({0: Dim.DYNAMIC} for _ in self.inputs)
        return ((*raw, *carried, *self.step.dynamic()["state"]),)

    def axes(self) -> dict[str, dict[int, str]]:
        axes = {name: {0: "batch"} for name in (*self.inputs, *self.outputs)}
        batch, growing = {LAST: 0, **self.step.batch_axes()}, self.step.growing()
        for name in self.states:
            of_state = {} if batch[name] is None else {batch[name]: "batch"}
            axes[name] = of_state | ({growing[name]: "seen"} if name in growing else {})
            after = {growing[name]: "seen_next"} if name in growing else {}
            axes[NEXT + name] = of_state | after
        return axes

    def state_facts(self) -> dict[str, Any]:
        """Of each tensor of the state its type and shape, as JSON values."""
        facts, axes = {}, self.axes()
        for name, tensor in self.first(1).items():
            shape = [axes[name].get(i, n) for i, n in enumerate(tensor.shape)]
            facts[name] = {"type": str(tensor.dtype).removeprefix("torch."), "shape": shape}
        return facts


class Walked(nn.Module):
    """A net's outputs [B, T, O], one step after another. The step is traced first: torch's `scan`
    cannot look into any Python code."""

    def __init__(self, step: PlainStep):
        super().__init__()
        self.first = step.first
        with torch.no_grad():
            program = torch.export.export(step, step.example(), dynamic_shapes=step.dynamic())
        self.step = program.module()

    def train(self, mode: bool = True) -> Walked:
        """What was traced has no mode to set."""
        return self

    def forward(self, x_BTI: Tensor) -> Tensor:
        first = tuple(t.clone() for t in self.first(x_BTI.shape[0]).values())

        def one(state: tuple[Tensor, ...], x_BI: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
            y_B1O, *after = self.step(x_BI.unsqueeze(1), *state)
            return tuple(after), y_B1O[:, 0].clone()

        return over_steps(one, first, x_BTI.transpose(0, 1))[1].transpose(0, 1)


def meant(answers: Answers, y_BSO: Tensor) -> tuple[Tensor, ...]:
    """Outputs as answers: of classes and of yes or no logits and probabilities, else float64 in the
    targets' own unit, [B, S, D] or [B, S, D, Q]."""
    form = answers.form
    if form.kind == "classes":
        return y_BSO, y_BSO.softmax(-1)
    if form.kind == "binary":
        return y_BSO, y_BSO.sigmoid()
    scale = torch.tensor(answers.scale, dtype=torch.float64)
    offset = torch.tensor(answers.offset, dtype=torch.float64)
    values = y_BSO.double()
    if form.kind == "quantiles":
        values = values.unflatten(-1, (form.targets, len(form.quantiles)))
        scale, offset = scale.unsqueeze(1), offset.unsqueeze(1)
    return (values * scale + offset,)


def outputs_of(answers: Answers, given: np.ndarray) -> np.ndarray:
    """A net's outputs [B, S, O] from a graph's first output: what `meant` did, undone."""
    if answers.form.kind in ("classes", "binary"):
        return given
    scale, offset = np.array(answers.scale), np.array(answers.offset)
    if answers.form.kind == "quantiles":
        scale, offset = scale[:, None], offset[:, None]
    outputs = (given - offset) / scale
    return outputs.reshape(*outputs.shape[:2], -1).astype(np.float32)
