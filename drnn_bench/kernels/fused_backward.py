"""The backward pass of the fused scan, block by block.

A block goes through the layers from the top one down. It reads the memory that forward filled, and
has memory of its own for the gradients. A layer's kernel adds to the gradient of its own earlier
states, and writes or adds the gradient of its inputs, which are the states of the layer below.

Legend: T steps of a layer, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels.blocks import each_block, threads
from drnn_bench.kernels.fused_cells import KERNELS
from drnn_bench.kernels.layer import WEIGHTS, Arguments, in_bytes
from drnn_bench.kernels.layout import (
    add_to_block,
    as_array,
    empty,
    fresh,
    from_block,
    numbers,
    numbers_at,
    put_in_block,
)
from drnn_bench.kernels.registers import COLUMNS, LANES
from drnn_bench.kernels.workspace import Workspace, chunks, pitch, view


class Backward:
    """One backward pass. `run` computes what `gradients` then returns.

    memory, tensors, symbols: as `Forward` left them
    gradients: of the outputs [last, B, H], then of all states after the last step; None: zeros
    of_inputs, of_states: whether the gradients of the inputs [T, B, I], and of the states before
               the first step, are asked for. Those of the weights always are.
    """

    def __init__(
        self,
        workspace: Workspace,
        memory: Tensor,
        tensors: Sequence[Tensor],
        symbols: np.ndarray | None,
        gradients: Sequence[Tensor | None],
        of_inputs: bool,
        of_states: bool,
    ):
        self.workspace, self.memory, self.symbols = workspace, memory, symbols
        self.weights, self.states_before = workspace.split(tensors)
        self.places, _ = workspace.for_training
        self.kernel = KERNELS[workspace.fused.name][1]
        self.dy, *d_after = gradients
        zeros = [None] * workspace.states * workspace.depth
        self.d_after = chunks(d_after or zeros, workspace.states)
        self.d_x = None
        if of_inputs:
            self.d_x = empty(workspace.input_steps, workspace.batch, workspace.inputs)
        self.d_before = [[torch.empty_like(v) for v in state] for state in self.states_before]
        self.of_states = of_states
        # A row for each block: the gradients of all weights, one after the other.
        self.starts = workspace.weight_starts
        self.d_weights = fresh(workspace.blocks, sum(workspace.weight_sizes)).zero_()
        self.at = workspace.for_gradients[of_inputs]
        writes = tuple(map(self._writes_below, range(workspace.depth)))
        key = (of_inputs, of_states, writes)
        if key not in workspace.arguments:
            workspace.arguments[key] = self._arguments(writes)
        self.arguments = workspace.arguments[key]
        self.scratch = empty(threads(workspace.blocks), self.at.rows, COLUMNS)

    def run(self) -> None:
        each_block(self._run_block, self.workspace.blocks, self.scratch)

    def gradients(self) -> tuple[Tensor | None, ...]:
        """Of the inputs, of all weights, of all states before the first step."""
        total = self.d_weights[0] if self.workspace.blocks == 1 else self.d_weights.sum(0)
        parts = total.split(self.workspace.weight_sizes)
        shapes = self.workspace.weight_shapes
        of_weights = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        before = [v if self.of_states else None for state in self.d_before for v in state]
        return self.d_x, *of_weights, *before

    def _run_block(self, block: int, rows: np.ndarray, base: int) -> None:
        """All layers of one block of sequences. `rows`: memory for its gradients, which begins at
        the address `base`."""
        workspace = self.workspace
        layers = self.arguments.at(
            self.weights,
            forward=self.memory.data_ptr() + 4 * block * self.memory.stride(0),
            own=base,
            line=self.d_weights.data_ptr() + 4 * block * self.d_weights.shape[1],
        )
        self._begin_states(workspace.depth - 1, block, rows)
        for i in reversed(range(workspace.depth)):
            self._run_layer(i, block, rows, layers[i])
        if self.d_x is not None:
            order = numbers(workspace.input_steps)
            from_block(self._d_inputs(rows), order, block * COLUMNS, self.d_x.numpy())

    def _run_layer(self, i: int, block: int, rows: np.ndarray, layer: np.void) -> None:
        """One layer, from the gradient of its states to those of all that it read. `layer`: its
        kernel's arguments."""
        at = self.at
        self._begin_below(i, block, rows)
        d_c = self._begin_c(i, block, rows)
        table = None
        if self.symbols is not None and i == 0:
            table = np.zeros((self.weights[0][0].shape[1], self.workspace.looked_up), np.float32)
            layer["symbols"], layer["table"] = self.symbols[block].ctypes.data, table.ctypes.data
            layer["table_step"] = 4 * self.workspace.looked_up
        # A register for each gate: the sums of its gradient, whose lanes are added at the end.
        sums = rows[at.bias :].reshape(-1, LANES)[: len(self.weights[i][2])]
        sums[:] = 0
        self.kernel(layer)
        d_weights = self.d_weights[block].numpy()
        d_weights[self.starts[i][2] :][: len(sums)] = sums.sum(1)
        if table is not None:
            w_ih = self.weights[0][0]
            d_weights[: w_ih.numel()] = table[:, : len(w_ih)].T.ravel()
        if self.of_states:
            order = numbers(self.workspace.dilations[i])
            from_block(self._d_states(i, rows), order, block * COLUMNS, self.d_before[i][0].numpy())
            if d_c is not None:
                from_block(d_c, order, block * COLUMNS, self.d_before[i][1].numpy())

    def _arguments(self, writes: Sequence[bool]) -> Arguments:
        """What each layer's kernel takes, but for symbols. The memories are that of forward, its
        own, and the line of the block's gradients of weights. `writes`: `_writes_below`."""
        workspace, at = self.workspace, self.at
        fixed, forward, own, line = [], [], [], []
        for i, (places, starts) in enumerate(zip(self.places, self.starts, strict=True)):
            gates = workspace.fused.gates * workspace.units[i]
            numbers_of = workspace.numbers_of(i) | {
                "dx_fresh": int(writes[i]), "onward": int(self.of_states),
                "chunk": at.chunk, "count": numbers_at(at.chunk),
            }  # fmt: skip
            fixed.append(numbers_of | in_bytes(gates_step=gates, work_step=at.work_rows))
            inputs = 0
            if i > 0:
                past = workspace.dilations[i - 1] * pitch(workspace.units[i - 1])
                inputs = self.places[i - 1].h + past
            forward.append(in_bytes(x=inputs, h=places.h, c=places.c, gates=places.gates))
            own.append(in_bytes(dh=self._first_state(i), dc=at.c, work=at.work, d_bias=at.bias))
            if i > 0 or self.d_x is not None:
                own[i] |= in_bytes(dx=self._first_below(i))
            pairs = zip(WEIGHTS, starts, strict=False)
            line.append({f"d_{name}": 4 * start for name, start in pairs if name != "bias"})
        return Arguments(fixed, forward=forward, own=own, line=line)

    def _begin_states(self, i: int, block: int, rows: np.ndarray) -> None:
        """The gradient of layer i's states before any kernel adds to it: for the top layer that of
        the outputs, then that of the state after the last step, else zeros. The steps that the
        layer above writes stay as they are."""
        workspace, first = self.workspace, block * COLUMNS
        d_states, d_after = self._d_states(i, rows), self.d_after[i][0]
        if i == workspace.depth - 1 and self.dy is not None:
            unread = len(d_states) - workspace.last
            d_states[:unread] = 0
            put_in_block(as_array(self.dy), first, d_states[unread:])
        elif i < workspace.depth - 1 and self._writes_below(i + 1):
            d_states[: workspace.dilations[i]] = 0
        else:
            d_states[:] = 0
        if d_after is not None:
            order = numbers(workspace.dilations[i])
            add_to_block(as_array(d_after), first, d_states[workspace.steps[i] :], order)

    def _begin_below(self, i: int, block: int, rows: np.ndarray) -> None:
        """The gradient of layer i's inputs [T, I, COLUMNS] before its kernel writes or adds."""
        if i > 0:
            self._begin_states(i - 1, block, rows)
        elif self.d_x is not None and not self._writes_below(0):
            self._d_inputs(rows)[:] = 0

    def _begin_c(self, i: int, block: int, rows: np.ndarray) -> np.ndarray | None:
        """The gradient of an LSTM's c [s, H, COLUMNS], in which step t has slot t mod s."""
        workspace = self.workspace
        if workspace.states == 1:
            return None
        s, d_after = workspace.dilations[i], self.d_after[i][1]
        d_c = view(rows, self.at.c, s, workspace.units[i])
        d_c[:] = 0
        if d_after is not None:
            by_slot = np.roll(as_array(d_after), workspace.steps[i] % s, axis=0)
            add_to_block(by_slot, block * COLUMNS, d_c, numbers(s))
        return d_c

    def _writes_below(self, i: int) -> bool:
        """Whether layer i's kernel writes the gradient of its inputs, rather than adds to it: it
        takes every step of the layer below, and nothing else has a gradient of them."""
        alone = i == 0 or self.d_after[i - 1][0] is None
        return self.workspace.rows[i] is None and alone

    def _d_states(self, i: int, rows: np.ndarray) -> np.ndarray:
        """The gradient of layer i's states [s + T, H, COLUMNS]; it lies last step first."""
        workspace = self.workspace
        steps = workspace.dilations[i] + workspace.steps[i]
        return view(rows, self.at.h[i % 2], steps, workspace.units[i])[::-1]

    def _first_state(self, i: int) -> int:
        """The place of the first step of `_d_states`."""
        workspace = self.workspace
        steps = workspace.dilations[i] + workspace.steps[i]
        return self.at.h[i % 2] + (steps - 1) * pitch(workspace.units[i])

    def _first_below(self, i: int) -> int:
        """The place of the first step of the gradient of layer i's inputs."""
        workspace = self.workspace
        if i == 0:
            return self.at.x + (workspace.input_steps - 1) * pitch(workspace.inputs)
        return self._first_state(i - 1) - workspace.dilations[i - 1] * pitch(workspace.units[i - 1])

    def _d_inputs(self, rows: np.ndarray) -> np.ndarray:
        """The gradient of the stack's inputs [T, I, COLUMNS]; it lies last step first."""
        workspace = self.workspace
        return view(rows, self.at.x, workspace.input_steps, workspace.inputs)[::-1]
