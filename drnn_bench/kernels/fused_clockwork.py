"""The clockwork modules on the fused kernels: a block of sequences goes through all of them, and
a module reads the histories of the slower ones where they lie.

Legend: T steps, B batch, I inputs, H units of a module. Places count rows of COLUMNS floats.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drnn_bench.cells.cell import Weights
from drnn_bench.kernels.blocks import each_block, threads
from drnn_bench.kernels.checks import check_gradients
from drnn_bench.kernels.clockwork import Schedule
from drnn_bench.kernels.fused import ready
from drnn_bench.kernels.fused_cells import rnn_backward, rnn_forward
from drnn_bench.kernels.layer import SOURCE, Arguments, in_bytes
from drnn_bench.kernels.layout import (
    add_to_block,
    as_array,
    empty,
    fresh,
    from_block,
    numbers,
    numbers_at,
    to_block,
)
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.workspace import (
    CHUNK,
    chunks,
    pitch,
    view,
)


def scan(
    x_TBI: Tensor,
    weights: Sequence[Weights],
    when: Schedule,
    hidden: Sequence[Tensor],
    last: int,
) -> tuple[Tensor, list[Tensor]]:
    """See `dispatch.clockwork`."""
    ready("layout")
    ready("rnn")
    flat = [tensor for module in weights for tensor in module]
    units = tuple([w_hh.shape[0] for _, w_hh, _ in weights])
    workspace = _workspace(tuple(x_TBI.shape), units, when, last)
    y, *after = _Modules.apply(workspace, x_TBI, *flat, *hidden)
    return y, after


class _Workspace:
    """Calls of the same shapes, and where the input and every module's history lie in a block."""

    def __init__(self, x_shape: tuple[int, ...], units: tuple[int, ...], when: Schedule, last: int):
        self.steps, self.batch, self.inputs = x_shape
        self.last, self.fires, self.reads = last, when.fires, when.reads
        self.units, self.modules = units, range(len(units))
        steps = np.arange(self.steps - last, self.steps)
        self.held = [when.held(i, steps) for i in self.modules]
        self.lengths = [1 + len(fires) for fires in self.fires]
        self.blocks = -(-self.batch // COLUMNS)
        # The places of the input and of every module's history, then the rows of the whole memory.
        sizes = [n * pitch(units) for n, units in zip(self.lengths, self.units, strict=True)]
        self.places = np.cumsum([0, self.steps * pitch(self.inputs), *sizes]).tolist()
        ends = np.cumsum([0, *self.units]).tolist()
        self.columns = [slice(a, b) for a, b in itertools.pairwise(ends)]  # of the output
        # Behind the gradients of what lies at these places, backward has the gate gradients of a
        # chunk of steps, then a register for each bias.
        widest = max(self.units)
        self.work_rows = pitch(widest)
        self.bias = self.places[-1] + CHUNK[1] * self.work_rows
        self.gradient_rows = self.bias + -(-widest * LANES // COLUMNS)
        # The tables of all modules' sources, one after the other, with places in bytes where
        # addresses belong.
        tables = [self._sources(i) for i in self.modules]
        self.sources = np.array([*itertools.chain(*tables)], np.int64).reshape(-1, 5)
        self.ends = np.cumsum([0, *(SOURCE * len(table) for table in tables)]).tolist()
        self.weight_sizes = [math.prod(shape) for i in self.modules for shape in self._shapes(i)]
        self.weight_starts = chunks(np.cumsum([0, *self.weight_sizes[:-1]]).tolist(), 3)

    def _shapes(self, i: int) -> tuple[tuple[int, ...], ...]:
        """Of the weights of module i, which reads the inputs and all slower modules."""
        units = self.units[i]
        return (units, self.inputs + sum(self.units[i + 1 :])), (units, units), (units,)

    def _sources(self, i: int) -> list[tuple[int, ...]]:
        return [
            (self.units[j], self.places[1 + j] * ROW, pitch(self.units[j]) * ROW,
             order.ctypes.data, self.places[1 + j] * ROW)
            for j, order in zip(self.modules[i + 1 :], self.reads[i], strict=True)
        ]  # fmt: skip

    def arguments(self, of_inputs: bool | None) -> Arguments:
        """What each module's kernel takes: forward's (None), or backward's, without the gradient
        of the inputs or with it. The memories are that of the block, that of its gradients, the
        line of its gradients of weights, and `tables`."""
        fixed, rows, own, line, tables = [], [], [], [], []
        for i in self.modules:
            fixed.append({
                "steps": len(self.fires[i]), "dilation": 1, "inputs": self.inputs,
                "units": self.units[i], "order": self.fires[i].ctypes.data,
                "w_step": 4 * self._shapes(i)[0][1], "onward": 1, "chunk": CHUNK[1],
                "count": numbers_at(CHUNK[1]),
            })  # fmt: skip
            x_step, h_step = pitch(self.inputs), pitch(self.units[i])
            fixed[i] |= in_bytes(
                x_step=x_step, dx_step=x_step, h_step=h_step, dh_step=h_step,
                work_step=self.work_rows,
            )  # fmt: skip
            rows.append(in_bytes(x=0, h=self.places[1 + i]))
            own.append(in_bytes(dh=self.places[1 + i], work=self.places[-1], d_bias=self.bias))
            if of_inputs:
                own[i]["dx"] = 0
            d_w_ih, d_w_hh, _ = self.weight_starts[i]
            line.append({"d_w_ih": 4 * d_w_ih, "d_w_hh": 4 * d_w_hh})
            tables.append({"sources": self.ends[i], "sources_end": self.ends[i + 1]})
        if of_inputs is None:
            return Arguments(fixed, rows=rows, tables=tables)
        return Arguments(fixed, rows=rows, own=own, line=line, tables=tables)

    def tables(self, rows: int, gradients: int) -> np.ndarray:
        """The sources of all modules. `rows`, `gradients`: the addresses of a block's memories."""
        tables = self.sources.copy()
        tables[:, 1] += rows
        tables[:, 4] += gradients
        return tables

    def split(self, tensors: Sequence[Tensor]) -> tuple[list[list[Tensor]], list[Tensor]]:
        """The weights of each module, and the hidden states, from all of them in a row."""
        cut = 3 * len(self.modules)
        return chunks(tensors[:cut], 3), list(tensors[cut:])

    def histories(self, rows: np.ndarray) -> list[np.ndarray]:
        """Per module, its history [1 + F, H, COLUMNS]."""
        shapes = zip(self.places[1:], self.lengths, self.units, strict=False)
        return [view(rows, *shape) for shape in shapes]

    def input(self, rows: np.ndarray) -> np.ndarray:
        """[T, I, COLUMNS]."""
        return view(rows, 0, self.steps, self.inputs)


@lru_cache(maxsize=256)
def _workspace(
    x_shape: tuple[int, ...], units: tuple[int, ...], when: Schedule, last: int
) -> _Workspace:
    """A training asks for the same one at every step, with the very schedule that `schedule`
    gives for the same numbers."""
    return _Workspace(x_shape, units, when, last)


@lru_cache(maxsize=512)
def _arguments(workspace: _Workspace, of_inputs: bool | None) -> Arguments:
    return workspace.arguments(of_inputs)


class _Modules(torch.autograd.Function):
    """From the inputs, all weights and all hidden states to the states [last, B, sum of H] and
    every module's state after the last step [B, H]."""

    @staticmethod
    def forward(ctx: Any, workspace: _Workspace, x_TBI: Tensor, *tensors: Tensor) -> tuple:
        plain = [t.detach().resolve_neg().contiguous() for t in tensors]
        weights, hidden = workspace.split(plain)
        training = any(ctx.needs_input_grad)
        memories = workspace.blocks if training else threads(workspace.blocks)
        memory = empty(memories, workspace.places[-1], COLUMNS)
        x, y = as_array(x_TBI), empty(workspace.last, workspace.batch, sum(workspace.units))
        after = [fresh(workspace.batch, units) for units in workspace.units]
        arguments = _arguments(workspace, None)

        def run(block: int, rows: np.ndarray, base: int) -> None:
            first, histories = block * COLUMNS, workspace.histories(rows)
            to_block(x, first, workspace.input(rows))
            tables = workspace.tables(base, base)
            layers = arguments.at(weights, rows=base, tables=tables.ctypes.data)
            for i in reversed(workspace.modules):
                to_block(hidden[i].unsqueeze(0).numpy(), first, histories[i][:1])
                rnn_forward(layers[i])
            for i, columns in enumerate(workspace.columns):
                from_block(histories[i], workspace.held[i], first, y.numpy()[:, :, columns])
                from_block(histories[i][-1:], numbers(1), first, after[i].unsqueeze(0).numpy())

        each_block(run, workspace.blocks, memory)
        ctx.workspace = workspace
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(memory, *plain)
        return y, *after

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        check_gradients(*gradients)
        memory, *tensors = ctx.saved_tensors
        scan = _Backward(ctx.workspace, memory, tensors, gradients, ctx.needs_input_grad[1])
        each_block(scan.run_block, ctx.workspace.blocks, scan.scratch)
        return None, *scan.gradients()


class _Backward:
    """One backward pass. Its memory for a block holds the gradients where forward's holds the
    numbers, and more (`gradient_rows`).

    gradients: of the outputs, then of every module's state after the last step; None: zeros
    """

    def __init__(
        self,
        workspace: _Workspace,
        memory: Tensor,
        tensors: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        of_inputs: bool,
    ):
        self.workspace, self.memory, self.tensors = workspace, memory, tensors
        self.weights, hidden = workspace.split(tensors)
        self.dy, self.d_after = gradients[0], gradients[1:]
        self.d_x = None
        if of_inputs:
            self.d_x = fresh(workspace.steps, workspace.batch, workspace.inputs)
        self.d_hidden = [torch.empty_like(h) for h in hidden]
        # A row for each block: the gradients of all weights, one after the other.
        self.d_weights = fresh(workspace.blocks, sum(workspace.weight_sizes)).zero_()
        self.arguments = _arguments(workspace, of_inputs)
        self.scratch = empty(threads(workspace.blocks), workspace.gradient_rows, COLUMNS)

    def gradients(self) -> tuple[Tensor | None, ...]:
        """Of the inputs, of all weights, of all hidden states."""
        total = self.d_weights[0] if self.workspace.blocks == 1 else self.d_weights.sum(0)
        parts = zip(total.split(self.workspace.weight_sizes), self.tensors, strict=False)
        return self.d_x, *(part.view(w.shape) for part, w in parts), *self.d_hidden

    def run_block(self, block: int, rows: np.ndarray, base: int) -> None:
        """All modules of one block of sequences, the fastest first, as it reads all others."""
        workspace, first = self.workspace, block * COLUMNS
        self._begin(first, rows)
        forward = self.memory.data_ptr() + 4 * block * self.memory.stride(0)
        tables = workspace.tables(forward, base)
        line = self.d_weights.data_ptr() + 4 * block * self.d_weights.shape[1]
        layers = self.arguments.at(
            self.weights, rows=forward, own=base, line=line, tables=tables.ctypes.data
        )
        for i in workspace.modules:
            self._run_module(i, block, rows, layers[i])
            history = workspace.histories(rows)[i]
            from_block(history, numbers(1), first, self.d_hidden[i].unsqueeze(0).numpy())
        if self.d_x is not None:
            order = numbers(workspace.steps)
            from_block(workspace.input(rows), order, first, self.d_x.numpy())

    def _begin(self, first: int, rows: np.ndarray) -> None:
        """The gradients of all histories before any kernel adds to them."""
        workspace = self.workspace
        rows[: workspace.places[-1]] = 0
        for i, columns in enumerate(workspace.columns):
            history, d_after = workspace.histories(rows)[i], self.d_after[i]
            if self.dy is not None:
                dy = as_array(self.dy)[:, :, columns]
                add_to_block(dy, first, history, workspace.held[i])
            if d_after is not None:
                last = as_array(d_after).reshape(1, workspace.batch, -1)
                add_to_block(last, first, history[-1:], numbers(1))

    def _run_module(self, i: int, block: int, rows: np.ndarray, layer: np.void) -> None:
        """One module, from the gradient of its history to those of all that it read. `layer`: its
        kernel's arguments."""
        workspace = self.workspace
        sums = rows[workspace.bias :].reshape(-1, LANES)[: workspace.units[i]]
        sums[:] = 0
        rnn_backward(layer)
        d_bias = workspace.weight_starts[i][2]
        self.d_weights[block].numpy()[d_bias : d_bias + len(sums)] = sums.sum(1)
