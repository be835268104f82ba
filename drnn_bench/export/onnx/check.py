"""onnxruntime beside torch: the same outputs over the test set, or nothing is written.

Legend: B batch, T steps, I inputs, C channels of raw numbers, O outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from drnn_bench.errors import UserError
from drnn_bench.export.described import Described, Inputs
from drnn_bench.export.onnx.graphs import NEXT, outputs_of
from drnn_bench.export.onnx.raw import MISSING
from drnn_bench.export.raw import to_net
from drnn_bench.models.inputs import Net
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.task import Task
from drnn_bench.training.scoring import evaluate, inputs

State = dict[str, Tensor]
Arrays = dict[str, np.ndarray]

TOLERANCE = 1e-3  # of the largest output of torch, and of 1 where all are smaller
SEQUENCES, STEPS = 4, 300  # on which the two files are held against each other


@dataclass(frozen=True)
class Checked:
    """What onnxruntime made of the test set, beside torch.

    difference      of the outputs, the largest
    largest         output of torch; 1 where all are smaller
    torch, runtime  the task's metric by each
    step            the largest difference between `step.onnx` and `model.onnx`, in the same unit
    """

    difference: float
    largest: float
    torch: float
    runtime: float
    step: float

    @property
    def allowed(self) -> float:
        """The difference that is let through."""
        return TOLERANCE * self.largest


class Session:
    """An ONNX file in onnxruntime, on one thread of the CPU. Raises UserError where it cannot run
    it."""

    def __init__(self, file: bytes):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]

    def __call__(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = cast("list[np.ndarray]", self.session.run(None, dict(given)))
        return dict(zip(self.outputs, results, strict=True))


class Runtime:
    """The two files of a net, given what the net takes; both give its outputs [B, T, O]."""

    def __init__(self, said: Described, files: Mapping[str, bytes], first: Callable[[int], State]):
        self.said, self.first = said, first
        self.model, self.step = Session(files["model.onnx"]), Session(files["step.onnx"])

    def whole(self, x: Tensor) -> Tensor:
        results = self.model(raw_of(self.said.inputs, x.numpy()))
        return self._outputs(results[self.model.outputs[0]])

    def stream(self, x: Tensor, state: Arrays | None = None) -> tuple[Tensor, Arrays]:
        """Step by step; the state after the last step too."""
        if state is None:
            state = {name: tensor.numpy() for name, tensor in self.first(len(x)).items()}
        parts, steps = raw_of(self.said.inputs, x.numpy()), []
        for t in range(x.shape[1]):
            of_step = {name: np.ascontiguousarray(part[:, t]) for name, part in parts.items()}
            results = self.step({**of_step, **state})
            state = {name: results[NEXT + name] for name in state}
            steps.append(results[self.step.outputs[0]])
        return self._outputs(np.stack(steps, 1)), state

    def _outputs(self, given: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(outputs_of(self.said.answers, given)))


class Beside(nn.Module):
    """Stands for a net where a net is evaluated, and gives onnxruntime's outputs. It notes how far
    they are from the net's, and how large those are."""

    takes_symbols = True

    def __init__(self, net: Net, runtime: Runtime):
        super().__init__()
        self.held = (net, runtime)  # no part of this module, whose mode is set and set back
        self.difference = self.largest = 0.0

    def forward(self, x: Tensor, last: int | None = None) -> Tensor:
        net, runtime = self.held
        last = int(x.shape[1]) if last is None else last
        return self._noted(runtime.whole(x)[:, -last:], net(to_net(net, x), last=last))

    def stream(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        net, runtime = self.held
        of_runtime, of_net = state or (None, None)
        outputs_BTO, of_runtime = runtime.stream(x, of_runtime)
        wanted_BTO, of_net = net.stream(to_net(net, x), of_net)
        return self._noted(outputs_BTO, wanted_BTO), (of_runtime, of_net)

    def _noted(self, got: Tensor, wanted: Tensor) -> Tensor:
        self.difference = _larger(self.difference, got, wanted)
        self.largest = max(self.largest, float(wanted.abs().max()))
        return got


def check(net: Net, prepared: Prepared, runtime: Runtime) -> Checked:
    """Sequences go through `model.onnx`, all of the test set; the one long sequence of a stream
    task through `step.onnx`, as the state is carried. Then both answer some sequences.

    Raises UserError where an output is further from torch's, or one file's from the other's, than
    TOLERANCE allows.
    """
    task, data = prepared.task, prepared.arrays()["test"]
    beside = Beside(net, runtime)
    by_runtime = evaluate(cast("Net", beside), task, data).value
    by_torch = evaluate(net, task, data).value
    net.eval()
    x = some_inputs(task, data)
    with torch.no_grad():
        whole_BTO, (step_BTO, _) = runtime.whole(x), runtime.stream(x)
        difference = _larger(beside.difference, whole_BTO, net(to_net(net, x)))
    checked = Checked(
        difference=difference,
        largest=max(1.0, beside.largest),
        torch=by_torch,
        runtime=by_runtime,
        step=_larger(0.0, step_BTO, whole_BTO),
    )
    for words, far in (("torch's", checked.difference), ("one another's", checked.step)):
        if not far <= checked.allowed:
            raise UserError(
                f"the ONNX files would not answer as the net does: their outputs differ from "
                f"{words} by {far:.2g} where the largest is {checked.largest:.3g}, and at most "
                f"{TOLERANCE:g} of that is let through"
            )
    return checked


def _larger(so_far: float, got: Tensor, wanted: Tensor) -> float:
    """The largest difference, of these outputs and of those before; infinite where one is NaN."""
    difference = float((got - wanted).abs().max())
    return max(so_far, difference) if difference == difference else math.inf


def some_inputs(task: Task, data: tuple[np.ndarray, ...]) -> Tensor:
    """Inputs of some sequences, as `evaluate` gives them to a net that takes symbols."""
    x = data[0][None, :STEPS] if task.stream else data[0][:SEQUENCES, :STEPS]
    return inputs(task, x, "cpu", cast("Net", Beside))


def raw_of(inputs: Inputs, x: np.ndarray) -> dict[str, np.ndarray]:
    """Raw inputs of the graphs, by their names, that become these inputs of the net [B, T, I] up to
    rounding; symbols [B, T] as they are. A value that a mask calls missing is missing."""
    if inputs.symbols:
        return {"symbols": x}
    if inputs.scaling is None:
        return {"x": x * np.float32(inputs.divided_by) / np.float32(inputs.scale)}
    scaling, channels = inputs.scaling, inputs.channels
    x_BTC = x[..., :channels].astype(np.float64) * scaling.deviation + scaling.mean
    for place, channel in enumerate(scaling.masked):
        x_BTC[..., channel][x[..., channels + place] == 1] = np.nan
    offset = np.array(inputs.offset)
    whole_BTK = np.round(x_BTC[..., offset != 0])
    gone_BTK = np.isnan(whole_BTK)
    whole_BTK = np.where(gone_BTK, 0, whole_BTK).astype(np.int64) + offset[offset != 0]
    parts = {"x": x_BTC[..., offset == 0], "whole": np.where(gone_BTK, MISSING, whole_BTK)}
    return {name: part for name, part in parts.items() if part.shape[-1]}
