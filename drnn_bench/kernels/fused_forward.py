"""The forward pass of the fused scan, block by block.

Legend: T steps of a layer, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from drnn_bench.kernels.blocks import each_block, threads
from drnn_bench.kernels.fused_cells import KERNELS
from drnn_bench.kernels.layer import call
from drnn_bench.kernels.layout import as_array, empty, fresh, from_block, numbers, to_block
from drnn_bench.kernels.registers import COLUMNS, ROW
from drnn_bench.kernels.workspace import Workspace, addresses, view


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
        weights, self.states_before = workspace.split(tensors)
        self.places, rows = workspace.for_training if training else workspace.for_inference
        memories = workspace.blocks if training else threads(workspace.blocks)
        self.memory = empty(memories, rows, COLUMNS)
        self.layers = [workspace.layer(i, weights[i]) for i in range(workspace.depth)]
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
            self.table = _symbol_table(weights[0][0], weights[0][2], workspace.looked_up)
            table_step = 4 * workspace.looked_up
            self.layers[0] |= {"table": self.table.data_ptr(), "table_step": table_step}

    def run(self) -> None:
        each_block(self._run_block, self.workspace.blocks, self.memory)

    def _run_block(self, block: int, rows: np.ndarray, base: int) -> None:
        """All layers of one block of sequences, the lowest first. `rows`: the block's memory, which
        begins at the address `base`."""
        workspace, first = self.workspace, block * COLUMNS
        if not workspace.symbols:
            to_block(self.x, first, view(rows, 0, workspace.input_steps, workspace.inputs))
        x_place = 0
        for i in range(workspace.depth):
            self._run_layer(i, block, rows, base, x_place)
            x_place = self._outputs(i)
        top = workspace.depth - 1
        y = view(rows, x_place, workspace.steps[top], workspace.units[top])
        from_block(y[-workspace.last :], numbers(workspace.last), first, self.y.numpy())

    def _run_layer(self, i: int, block: int, rows: np.ndarray, base: int, x_place: int) -> None:
        """One layer, whose inputs lie at `x_place`."""
        workspace, places = self.workspace, self.places[i]
        s, steps, units = workspace.dilations[i], workspace.steps[i], workspace.units[i]
        variables = (places.h, places.c)[: workspace.states]
        histories = [view(rows, place, s + steps, units) for place in variables]
        for v, history in enumerate(histories):
            if self.states_before:
                to_block(self.states_before[i][v].numpy(), block * COLUMNS, history[:s])
            else:
                history[:s] = 0
        layer = self.layers[i] | addresses(
            base, x=x_place, h=places.h, c=places.c, gates=places.gates
        )
        layer["gates_step"] = workspace.fused.gates * units * ROW * self.training
        if self.symbols is not None and i == 0:
            layer |= {"symbols": self.symbols[block].ctypes.data, "work": base}
        call(self.kernel, layer)
        if workspace.return_states:
            for history, after in zip(histories, self.states_after[i], strict=True):
                from_block(history[steps:], numbers(s), block * COLUMNS, after.numpy())

    def _outputs(self, i: int) -> int:
        """Where the outputs of layer i begin: its h after the first step."""
        return self.places[i].h + self.workspace.dilations[i] * self.layers[i]["h_step"] // ROW


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
