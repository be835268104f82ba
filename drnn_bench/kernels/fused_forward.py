"""The forward pass of the fused scan, block by block.

Legend: T steps of a layer, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from drnn_bench.kernels.blocks import each_block, threads
from drnn_bench.kernels.fused_cells import KERNELS
from drnn_bench.kernels.layer import Arguments, in_bytes
from drnn_bench.kernels.layout import as_array, empty, fresh, from_block, numbers, to_block
from drnn_bench.kernels.registers import COLUMNS
from drnn_bench.kernels.workspace import Workspace, pitch, view


class Forward:
    """One forward pass. `run` fills `y` [last, B, H] and `states_after`.

    tensors:  the weights of all layers, then the states of all layers or none, contiguous
    training: every block keeps its memory, which backward reads
    symbols:  the inputs by block [blocks, T, COLUMNS] where they are symbols, else None
    """

    def __init__(
        self, workspace: Workspace, x_TBI: Tensor, tensors: Sequence[Tensor], training: bool
    ):
        self.workspace, self.training = workspace, training
        self.weights, self.states_before = workspace.split(tensors)
        self.places, rows = workspace.for_training if training else workspace.for_inference
        memories = workspace.blocks if training else threads(workspace.blocks)
        self.memory = empty(memories, rows, COLUMNS)
        if training not in workspace.arguments:
            workspace.arguments[training] = self._arguments()
        self.arguments = workspace.arguments[training]
        self.kernel = KERNELS[workspace.fused.name][0]
        self.x = as_array(x_TBI)
        self.y = empty(workspace.last, workspace.batch, workspace.units[-1])
        self.states_after = [
            tuple(fresh(s, workspace.batch, units) for _ in range(workspace.states))
            for s, units in zip(workspace.dilations, workspace.units, strict=True)
            if workspace.return_states
        ]
        self.symbols: np.ndarray | None = None
        if workspace.symbols:
            self.symbols = _symbol_blocks(self.x)
            w_ih, _, bias, *_ = self.weights[0]
            self.table = _symbol_table(w_ih, bias, workspace.looked_up)

    def run(self) -> None:
        each_block(self._run_block, self.workspace.blocks, self.memory)

    def _run_block(self, block: int, rows: np.ndarray, base: int) -> None:
        """All layers of one block of sequences, the lowest first. `rows`: the block's memory, which
        begins at the address `base`."""
        workspace, first = self.workspace, block * COLUMNS
        if not workspace.symbols:
            to_block(self.x, first, view(rows, 0, workspace.input_steps, workspace.inputs))
        layers = self.arguments.at(self.weights, rows=base)
        if self.symbols is not None:
            layers["symbols"][0], layers["work"][0] = self.symbols[block].ctypes.data, base
            layers["table"][0] = self.table.data_ptr()
            layers["table_step"][0] = 4 * workspace.looked_up
        for i in range(workspace.depth):
            self._run_layer(i, block, rows, layers[i])
        top = workspace.depth - 1
        y = view(rows, self._outputs(top), workspace.steps[top], workspace.units[top])
        from_block(y[-workspace.last :], numbers(workspace.last), first, self.y.numpy())

    def _run_layer(self, i: int, block: int, rows: np.ndarray, layer: np.void) -> None:
        """One layer. `layer`: its kernel's arguments."""
        workspace, places = self.workspace, self.places[i]
        s, steps, units = workspace.dilations[i], workspace.steps[i], workspace.units[i]
        variables = (places.h, places.c)[: workspace.states]
        histories = [view(rows, place, s + steps, units) for place in variables]
        for v, history in enumerate(histories):
            if self.states_before:
                to_block(self.states_before[i][v].numpy(), block * COLUMNS, history[:s])
            else:
                history[:s] = 0
        self.kernel(layer)
        if workspace.return_states:
            for history, after in zip(histories, self.states_after[i], strict=True):
                from_block(history[steps:], numbers(s), block * COLUMNS, after.numpy())

    def _arguments(self) -> Arguments:
        """What each layer's kernel takes; the memory of a block is `rows`."""
        workspace, fixed, rows = self.workspace, [], []
        for i, places in enumerate(self.places):
            gates = workspace.fused.gates * workspace.units[i] * self.training
            fixed.append(workspace.numbers_of(i) | in_bytes(gates_step=gates))
            x = self._outputs(i - 1) if i else 0
            rows.append(in_bytes(x=x, h=places.h, c=places.c, gates=places.gates))
        return Arguments(fixed, rows=rows)

    def _outputs(self, i: int) -> int:
        """Where the outputs of layer i begin: its h after the first step."""
        workspace = self.workspace
        return self.places[i].h + workspace.dilations[i] * pitch(workspace.units[i])


def _symbol_table(w_ih: Tensor, bias: Tensor, gates: int) -> Tensor:
    """[symbols, gates]: what each symbol adds to the gates, with the bias; zeros behind."""
    table = fresh(w_ih.shape[1], gates).zero_()
    table[:, : len(w_ih)] = w_ih.t() + bias[: len(w_ih)]
    return table


def _symbol_blocks(symbols_TB: np.ndarray) -> np.ndarray:
    """Symbols by block [blocks, T, COLUMNS]. The last sequence is repeated to fill its block."""
    steps, batch = symbols_TB.shape
    count = -(-batch // COLUMNS)
    columns = np.minimum(np.arange(count * COLUMNS), batch - 1)
    whole = symbols_TB[:, columns].reshape(steps, count, COLUMNS)
    return np.ascontiguousarray(whole.swapaxes(0, 1), np.int64)
