"""The arguments of a cell's kernel for one layer, and the parts that all cells' kernels share.

Legend: T steps, I inputs, H units, s dilation; addresses are in bytes, and of rows where nothing
else is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import from_dtype
from torch import Tensor

from drnn_bench.kernels.compiled import inline
from drnn_bench.kernels.products import affine, back, gradient
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.tiles import add_up, look_up
from drnn_bench.kernels.vectors import (
    add_sum,
    constant,
    load_int,
    load_rows,
    spread_rows,
    store,
)

# One layer of one block. Forward:
#   x, order    the inputs [*, I] and, per step, which of them it takes (T whole numbers)
#   h, c        the states [s + T, H]: before step 0, then after every step
#   x_step ..   bytes from step to step
#   gates       what backward needs of each step [T, H, ...]; with gates_step 0 every step
#               overwrites that of the step before
#   w_ih, w_hh, bias, w_last   float32, as torch has them; w_last: the skip cell's edge from t-1, or
#               the LEM's matrix of the new z; behind the biases of an IndRNN stand its u
#   w_step      bytes of a row of w_ih; of an rnn, the columns of its sources follow those of x
#   symbols     whole numbers [*, COLUMNS] in place of x; or 0
#   table       for each symbol floats, which it adds to the gates, the bias included; for
#               backward, their gradient
#   work        room for the gates that were looked up
#   sources     further inputs of an rnn; for each, whole numbers: width, address, bytes from step
#               to step, address of its order, address of its gradient
# Backward adds:
#   dh          gradient of h [s + T, H], changed in place; that of the first s only with `onward`
#   dc          gradient of c, a ring [s, H] in which step t has slot t mod s
#   dx          gradient of the inputs, or 0; with dx_fresh it is written, else added to
#   d_w_ih .. d_w_last          float32, added to
#   work, chunk gate gradients of up to `chunk` steps
#   count       0, 1, 2, ...
FIELDS = (
    "steps", "dilation", "inputs", "units",
    "x", "x_step", "order", "h", "h_step", "c", "gates", "gates_step",
    "w_ih", "w_step", "w_hh", "bias", "w_last",
    "symbols", "table", "table_step", "sources", "sources_end",
    "dh", "dh_step", "dc", "dx", "dx_step", "dx_fresh", "onward",
    "d_w_ih", "d_w_hh", "d_bias", "d_w_last", "work", "work_step", "chunk", "count",
)  # fmt: skip
LAYER = np.dtype([(name, np.int64) for name in FIELDS])
RECORD = from_dtype(LAYER)  # handed over by its address; a tuple would be copied at every read
SOURCE = 40  # bytes
WEIGHTS = ("w_ih", "w_hh", "bias", "w_last")


class Arguments:
    """The arguments of the kernels of several layers, as far as shapes decide them: for each layer
    numbers, and places, in bytes from where a memory begins. Made once, they cost a call little.

    fixed:   per layer, numbers by FIELDS; the others are 0
    places:  for each memory by name, per layer, places in it by FIELDS
    """

    def __init__(self, fixed: Sequence[dict[str, int]], **places: Sequence[dict[str, int]]):
        self._fixed, self._memories = _table(fixed), tuple(places)
        self._fixed += sum(map(_table, places.values()))
        within = [_table([dict.fromkeys(x, 1) for x in layers]) for layers in places.values()]
        self._within = np.stack([table.ravel() for table in within])  # a row for each memory

    def at(self, weights: Sequence[Sequence[Tensor]], **addresses: int) -> np.ndarray:
        """A record of LAYER for each layer, whose weights these are, in the order of WEIGHTS.
        `addresses`: of the memories."""
        starts = np.array([addresses[name] for name in self._memories])
        table = self._fixed + (starts @ self._within).reshape(self._fixed.shape)
        table[:, _OF_WEIGHTS[: len(weights[0])]] = [[w.data_ptr() for w in own] for own in weights]
        return table.view(LAYER)[:, 0]


_OF_WEIGHTS = np.array([FIELDS.index(name) for name in WEIGHTS])


def _table(layers: Sequence[dict[str, int]]) -> np.ndarray:
    return np.array([[layer.get(name, 0) for name in FIELDS] for layer in layers], np.int64)


def in_bytes(**places: int) -> dict[str, int]:
    """Places in rows as places in bytes."""
    return {name: place * ROW for name, place in places.items()}


@inline
def gate_gradient(a, work, gate, row):
    """Stores the gradient of one gate for the products, and adds it to that of its bias."""
    store(work + gate * ROW, row)
    add_sum(a.d_bias + 4 * LANES * gate, row)


@inline
def look_up_gates(a, t, gates):
    """Fills `work` with the gates of step t, from the table's entries of its symbols."""
    symbols = a.symbols + 8 * COLUMNS * load_int(a.order + 8 * t)
    for gate in range(0, gates, LANES):
        for column in range(0, COLUMNS, LANES):
            rows, entry = a.work + gate * ROW + 4 * column, a.table + 4 * gate
            look_up(rows, entry, a.table_step, symbols + 8 * column)


@inline
def input_sums(a, t, gates, saved):
    """The address of the rows of all gates of step t that the inputs give, biases included. They
    lie at `saved`, or in `work` where they were looked up."""
    if a.symbols:
        look_up_gates(a, t, gates)
        return a.work
    x = a.x + load_int(a.order + 8 * t) * a.x_step
    affine(saved, a.bias, a.w_ih, a.w_step, gates, x, a.inputs)
    return saved


@inline
def first_sums(shape, a, u, apart, symbols):
    """The first terms of the sums of gates u, u + apart, ...: their biases, or the rows that were
    looked up."""
    if symbols:
        sums = load_rows(shape, a.work + u * ROW, apart * ROW)
    else:
        sums = spread_rows(shape, a.bias + 4 * u, 4 * apart)
    return sums


@inline
def input_gradient(a, t, work, gates):
    """Writes the gradient of the inputs of step t, or adds to it, from its gate gradients in
    `work`."""
    if a.dx:
        dx = a.dx + load_int(a.order + 8 * t) * a.dx_step
        if a.dx_fresh:
            for i in range(a.inputs):
                store(dx + i * ROW, constant(0.0))
        back(dx, a.w_ih, a.w_step, a.inputs, work, gates)


@inline
def input_weights(a, gates, low, steps):
    """Adds to the gradient of the input weights what steps low .. low + steps - 1 give, whose gate
    gradients lie in `work`."""
    order = a.order + 8 * low
    if a.symbols:
        for t in range(steps):
            symbols = a.symbols + 8 * COLUMNS * load_int(order + 8 * t)
            for gate in range(0, gates, LANES):
                for column in range(0, COLUMNS, LANES):
                    rows = a.work + t * a.work_step + gate * ROW + 4 * column
                    add_up(rows, a.table + 4 * gate, a.table_step, symbols + 8 * column)
    gradient(a.d_w_ih, a.w_step, a.inputs, a.work, a.work_step, gates, a.x, a.x_step, order, steps)


@inline
def state_weights(a, out, work, gates, h, steps):
    """Adds to the gradient of weights that read the states from `h` on."""
    gradient(out, 4 * a.units, a.units, work, a.work_step, gates, h, a.h_step, a.count, steps)
