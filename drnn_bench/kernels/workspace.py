"""The shape of one call of the fused scan, and where everything lies in a block's workspace.

A place is counted in rows of COLUMNS floats. An array [steps, features] has `pitch(features)` rows
a step.

Legend: T steps, I inputs, H units, s dilation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from drnn_bench.kernels.layer import GATES, WORK, Layer
from drnn_bench.kernels.layout import numbers
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.torch_scan import STATES

CACHE, CHUNK = 384 * 1024, (8, 16)  # gate gradients that wait: bytes; fewest and most steps
WEIGHTS = ("w_ih", "w_hh", "bias", "w_last")
NOTHING = dict.fromkeys(Layer._fields, 0)


def pitch(features: int) -> int:
    """Rows that a step takes. Where the same feature of all steps would share a few sets of the
    first cache, a row is left unused."""
    return features + (features % 8 == 0)


def padded(gates: int) -> int:
    """Gates of a table's entry: whole registers."""
    return -(-gates // LANES) * LANES


class Plan:
    def __init__(
        self,
        cell: str,
        x_shape: Sequence[int],
        weights: Sequence[Sequence[Tensor]],
        dilations: Sequence[int],
        rows: Sequence[np.ndarray | None],
        last: int,
        leaving: bool,
    ):
        self.cell, self.dilations, self.rows, self.last = cell, dilations, rows, last
        self.leaving = leaving  # the states leave
        self.depth, self.states, self.kinds = len(weights), STATES[cell], len(weights[0])
        # Of symbols [T, B], nothing lies in the workspace but the gates that they give.
        self.input_steps, self.batch, *inputs = x_shape
        self.inputs, self.symbols = sum(inputs), not inputs
        self.looked_up = padded(weights[0][0].shape[0]) * self.symbols
        self.units = [w_hh.shape[1] for _, w_hh, *_ in weights]
        self.steps = []
        for taken in rows:
            below = self.steps[-1] if self.steps else self.input_steps
            self.steps.append(below if taken is None else len(taken))
        self.blocks = -(-self.batch // COLUMNS)
        # Rows of a layer's h (and c): s steps before the first, and T.
        lengths = zip(dilations, self.steps, self.units, strict=True)
        self.histories = [(s + steps) * pitch(units) for s, steps, units in lengths]
        self.input_rows = self.looked_up or self.input_steps * pitch(self.inputs)

    def kept(self) -> tuple[list[tuple[int, int, int]], int]:
        """Places of every layer's h, c and gates, and the rows in all. The input lies at 0."""
        start, places = self.input_rows, []
        for i, rows in enumerate(self.histories):
            gates = start + self.states * rows
            places.append((start, gates - rows, gates))
            start = gates + GATES[self.cell] * self.units[i] * self.steps[i]
        return places, start

    def passing(self) -> tuple[list[tuple[int, int, int]], int]:
        """The same where no gradient will be asked for: layers take turns with the memory of two,
        and only one step's gates have room."""
        start, longest = self.input_rows, max(self.histories)
        c, gates = start + 2 * longest, start + (1 + self.states) * longest
        places = [(start + i % 2 * longest, c, gates) for i in range(self.depth)]
        return places, gates + GATES[self.cell] * max(self.units)

    def gradients(self, inputs: bool) -> tuple[list[int], int, int]:
        """Places for backward, the end among them: the gradients of two layers' h, of the inputs
        where they are wanted, of c, of the gates of a chunk, of the biases. Then the steps of a
        chunk, and the rows of one."""
        per_step = pitch(WORK[self.cell] * max(self.units))
        chunk = min(max(CACHE // (per_step * ROW), CHUNK[0]), CHUNK[1])
        longest, biases = max(self.histories), WORK[self.cell] * max(self.units) * LANES
        ring = max(s * pitch(units) for s, units in zip(self.dilations, self.units, strict=True))
        sizes = [longest, longest, inputs * self.input_rows, ring * (self.states > 1)]
        sizes += [chunk * per_step + LANES, -(-biases // COLUMNS)]
        return np.cumsum([0, *sizes]).tolist(), chunk, per_step

    def split(self, tensors: Sequence) -> tuple[list, list]:
        """The weights of each layer and the states of each layer, of all in a row."""
        cut = self.kinds * self.depth
        return chunks(tensors[:cut], self.kinds), chunks(tensors[cut:], self.states)

    def layer(self, i: int, weights: Sequence[Tensor]) -> dict[str, int]:
        """What both kernels are told of a layer, but for the places."""
        inputs, taken = self.units[i - 1] if i else self.inputs, self.rows[i]
        order = numbers(self.steps[i]) if taken is None else taken
        addresses = zip(WEIGHTS, (w.data_ptr() for w in weights), strict=False)
        return {
            **NOTHING,
            **dict(addresses),
            "steps": self.steps[i],
            "dilation": self.dilations[i],
            "inputs": inputs,
            "units": self.units[i],
            "w_step": 4 * inputs,
            "x_step": pitch(inputs) * ROW,
            "h_step": pitch(self.units[i]) * ROW,
            # Backward walks its own arrays, which lie last step first, as memory likes it.
            "dx_step": -pitch(inputs) * ROW,
            "dh_step": -pitch(self.units[i]) * ROW,
            "order": order.ctypes.data,
        }


def chunks(items: Sequence, size: int) -> list:
    return [items[i : i + size] for i in range(0, len(items), size)]


def view(rows: np.ndarray, place: int, steps: int, features: int) -> np.ndarray:
    """The array [steps, features, COLUMNS] at a place."""
    wide = pitch(features)
    return rows[place : place + steps * wide].reshape(steps, wide, COLUMNS)[:, :features]
