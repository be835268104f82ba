"""The shapes of one call of the fused scan, and where its arrays lie in a block's memory.

A place is counted in rows of COLUMNS floats. An array [steps, features] has `pitch(features)` rows
a step.

Legend: T steps, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from drnn_bench.cells.cell import Cell
from drnn_bench.kernels.layer import Arguments
from drnn_bench.kernels.layout import numbers
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW

CACHE = 384 * 1024  # bytes of gate gradients that wait for the weights' gradients
CHUNK = (8, 16)  # fewest and most steps of gate gradients that wait


def pitch(features: int) -> int:
    """Rows that a step takes. A row is left unused where the same feature of all steps would
    otherwise share a few sets of the first cache."""
    return features + (features % 8 == 0)


def padded(gates: int) -> int:
    """Gates of a table's entry: whole registers."""
    return -(-gates // LANES) * LANES


@dataclass(frozen=True)
class LayerPlaces:
    """Where the arrays of one layer lie."""

    h: int
    c: int
    gates: int


@dataclass(frozen=True)
class GradientPlaces:
    """Where the gradients of one block lie, for as long as backward works on it.

    h:       of the states of two layers, which neighbouring layers use in turns
    x, c:    of the inputs, and of the LSTM's c
    work:    of the gates of a chunk, `work_rows` rows a step
    bias:    of a layer's biases
    rows:    of the whole memory
    chunk:   steps
    """

    h: tuple[int, int]
    x: int
    c: int
    work: int
    bias: int
    rows: int
    chunk: int
    work_rows: int


class Workspace:
    """Calls of the fused scan of the same shapes (`workspace_of` gives it).

    `last` outputs of the top layer are asked for; `return_states`: the states after the last step
    too. `rows`: per layer, which steps of the layer below it takes (None: all).
    """

    def __init__(
        self,
        cell: Cell,
        x_shape: Sequence[int],
        weights: Sequence[Sequence[Tensor]],
        dilations: Sequence[int],
        rows: Sequence[np.ndarray | None],
        last: int,
        return_states: bool,
    ):
        assert cell.fused is not None, f"{cell.name} has no fused kernel"
        self.fused, self.last = cell.fused, last
        # Its own, as a caller may change its lists between two calls.
        self.dilations, self.rows = tuple(dilations), tuple(rows)
        self.return_states = return_states
        self.depth, self.states = len(weights), cell.states
        self.weights_per_layer = len(weights[0])
        self.weight_shapes = [w.shape for layer in weights for w in layer]
        # Of symbols [T, B], only the gates that they give lie in the workspace.
        self.input_steps, self.batch, *inputs = x_shape
        self.inputs, self.symbols = sum(inputs), not inputs
        self.looked_up = padded(weights[0][0].shape[0]) * self.symbols
        self.units = [w_hh.shape[1] for _, w_hh, *_ in weights]
        self.steps: list[int] = []
        for taken in rows:
            below = self.steps[-1] if self.steps else self.input_steps
            self.steps.append(below if taken is None else len(taken))
        self.blocks = -(-self.batch // COLUMNS)
        # Rows of a layer's h (and c): s steps before the first, and T.
        lengths = zip(dilations, self.steps, self.units, strict=True)
        self.histories = [(s + steps) * pitch(units) for s, steps, units in lengths]
        self.input_rows = self.looked_up or self.input_steps * pitch(self.inputs)

    @cached_property
    def for_training(self) -> tuple[list[LayerPlaces], int]:
        """The places of every layer, each with memory of its own, and the rows of the whole
        memory. The input lies at 0."""
        start, places = self.input_rows, []
        for i, rows in enumerate(self.histories):
            gates = start + self.states * rows
            places.append(LayerPlaces(h=start, c=gates - rows, gates=gates))
            start = gates + self.fused.gates * self.units[i] * self.steps[i]
        return places, start

    @cached_property
    def for_inference(self) -> tuple[list[LayerPlaces], int]:
        """The same without a backward pass: layers take turns with the memory of two, and there
        is room for the gates of one step."""
        start, longest = self.input_rows, max(self.histories)
        c, gates = start + 2 * longest, start + (1 + self.states) * longest
        places = [LayerPlaces(start + i % 2 * longest, c, gates) for i in range(self.depth)]
        return places, gates + self.fused.gates * max(self.units)

    @cached_property
    def for_gradients(self) -> tuple[GradientPlaces, GradientPlaces]:
        """The places that backward needs beside those of forward: without the gradient of the
        inputs, and with it."""
        return self._gradient_places(False), self._gradient_places(True)

    def _gradient_places(self, of_inputs: bool) -> GradientPlaces:
        per_step = pitch(self.fused.work * max(self.units))
        chunk = min(max(CACHE // (per_step * ROW), CHUNK[0]), CHUNK[1])
        longest, biases = max(self.histories), self.fused.work * max(self.units) * LANES
        ring = max(s * pitch(units) for s, units in zip(self.dilations, self.units, strict=True))
        sizes = [longest, longest, of_inputs * self.input_rows, ring * (self.states > 1)]
        sizes += [chunk * per_step + LANES, -(-biases // COLUMNS)]
        even, odd, x, c, work, bias, rows = np.cumsum([0, *sizes]).tolist()
        return GradientPlaces((even, odd), x, c, work, bias, rows, chunk, per_step)

    def split(self, tensors: Sequence[Tensor]) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """The weights of each layer and the states of each layer, from all of them in a row."""
        cut = self.weights_per_layer * self.depth
        return chunks(tensors[:cut], self.weights_per_layer), chunks(tensors[cut:], self.states)

    @cached_property
    def weight_sizes(self) -> list[int]:
        """How many numbers each weight has, layer by layer."""
        return [shape.numel() for shape in self.weight_shapes]

    @cached_property
    def weight_starts(self) -> list[list[int]]:
        """Per layer, where each of its weights begins when all stand one after the other."""
        return chunks(np.cumsum([0, *self.weight_sizes[:-1]]).tolist(), self.weights_per_layer)

    @cached_property
    def arguments(self) -> dict[Hashable, Arguments]:
        """Those of forward and of backward, which make them at their first call."""
        return {}

    def numbers_of(self, i: int) -> dict[str, int]:
        """The arguments of both kernels for layer i that are no places."""
        inputs, taken = self.units[i - 1] if i else self.inputs, self.rows[i]
        order = numbers(self.steps[i]) if taken is None else taken
        return {
            "steps": self.steps[i],
            "dilation": self.dilations[i],
            "inputs": inputs,
            "units": self.units[i],
            "w_step": 4 * inputs,
            "x_step": pitch(inputs) * ROW,
            "h_step": pitch(self.units[i]) * ROW,
            # Backward walks the time backwards. Its own arrays lie last step first, so that it
            # reads memory in ascending order.
            "dx_step": -pitch(inputs) * ROW,
            "dh_step": -pitch(self.units[i]) * ROW,
            "order": order.ctypes.data,
        }


_known: dict[Hashable, Workspace] = {}
_MOST = 256


def workspace_of(
    cell: Cell,
    x_shape: Sequence[int],
    weights: Sequence[Sequence[Tensor]],
    dilations: Sequence[int],
    rows: Sequence[np.ndarray | None],
    last: int,
    return_states: bool,
) -> Workspace:
    """The workspace of these shapes. It is kept: to make one takes as long as a kernel takes for a
    small net, and a training asks for the same one at every step."""
    shapes = tuple([w.shape for layer in weights for w in layer])
    taken = tuple(map(id, rows))  # a workspace that is kept keeps its rows, and so their ids
    key = (cell, tuple(x_shape), shapes, tuple(dilations), taken, last, return_states)
    found = _known.get(key)
    if found is None:
        if len(_known) >= _MOST:
            _known.clear()
        found = Workspace(cell, x_shape, weights, dilations, rows, last, return_states)
        _known[key] = found
    return found


def chunks(items: Sequence, size: int) -> list[list]:
    """The items in lists of `size`."""
    return [list(items[i : i + size]) for i in range(0, len(items), size)]


def view(rows: np.ndarray, place: int, steps: int, features: int) -> np.ndarray:
    """The array [steps, features, COLUMNS] at a place."""
    width = pitch(features)
    return rows[place : place + steps * width].reshape(steps, width, COLUMNS)[:, :features]
