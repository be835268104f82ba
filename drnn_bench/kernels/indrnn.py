"""The IndRNN (cells/indrnn.py), forward and backward: one layer over one block of sequences.

    h_t = relu(W x + u h_{t-s} + b), element by element in the state

The numbers u stand behind the biases: `bias` and its gradient have 2H numbers.

Legend: H units, s dilation; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.layer import gate_gradient, input_gradient, input_sums, input_weights
from drnn_bench.kernels.products import ONE
from drnn_bench.kernels.registers import LANES, ROW
from drnn_bench.kernels.vectors import (
    add_sum,
    clamp,
    fma,
    load,
    spread_rows,
    store,
    where_open,
)

INFINITE = float("inf")


@inline
def _own(a, u):
    """The number u of a unit, in every column."""
    return spread_rows(ONE, a.bias + 4 * (a.units + u), 4)[0]


@kernel
def indrnn_forward(a):
    for t in range(a.steps):
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        sums = input_sums(a, t, a.units, now)
        for u in range(a.units):
            at = u * ROW
            h = fma(_own(a, u), load(before + at), load(sums + at))
            store(now + at, clamp(h, 0.0, INFINITE))


@kernel
def indrnn_backward(a):
    units = a.units
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            h, dh = a.h + t * a.h_step, a.dh + t * a.dh_step
            now, d_now = h + a.dilation * a.h_step, dh + a.dilation * a.dh_step
            carried = t >= a.dilation or a.onward
            for u in range(units):
                at = u * ROW
                d = where_open(load(now + at), load(d_now + at))
                gate_gradient(a, work, u, d)
                add_sum(a.d_bias + 4 * LANES * (units + u), d * load(h + at))
                if carried:
                    store(dh + at, fma(d, _own(a, u), load(dh + at)))
            input_gradient(a, t, work, units)
        input_weights(a, units, low, high - low)
        high = low
