"""The minimal LSTM (cells/min_lstm.py), forward and backward: one layer over one block.

    f = sigmoid(W_f x + b_f),  i = sigmoid(W_i x + b_i),  n = W_n x + b_n
    z = i / (f + i),  h_t = (1 - z) h_{t-s} + z n

As the minimal GRU, it is walked in order: see min_gru.py. What backward reads of a step are z,
1 - f, 1 - i and n.

Legend: H units, s dilation; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import kernel
from drnn_bench.kernels.layer import gate_gradient, input_gradient, input_sums, input_weights
from drnn_bench.kernels.products import FOUR, THREE
from drnn_bench.kernels.rates import rates
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.vectors import (
    clamp,
    constant,
    fma,
    larger,
    load,
    load_rows,
    store,
)

INFINITE = float("inf")
LOW = 60.0  # below -LOW a sigmoid is an exponential, in float32


@kernel
def min_lstm_forward(a):
    units = a.units
    for t in range(a.steps):
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        saved = a.gates + t * a.gates_step
        sums = input_sums(a, t, 3 * units, saved)
        for u in range(units):
            at = u * ROW
            f, i, n = load_rows(THREE, sums + at, units * ROW)
            # Where both are so low that they are exponentials, their share is that of any others
            # of the same difference.
            shift = clamp(larger(f, i) + constant(LOW), -INFINITE, 0.0)
            f, less_f = rates(f - shift)
            i, less_i = rates(i - shift)
            z = i / (f + i)
            h = load(before + at)
            # Not h + z * (n - h): an infinite state would become NaN at the next step.
            store(now + at, fma(z, n, (constant(1.0) - z) * h))
            store(saved + at, z)
            store(saved + units * ROW + at, less_f)
            store(saved + 2 * units * ROW + at, less_i)
            store(saved + 3 * units * ROW + at, n)


@kernel
def min_lstm_backward(a):
    units = a.units
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            saved = a.gates + t * a.gates_step
            h, dh = a.h + t * a.h_step, a.dh + t * a.dh_step
            d_now = dh + a.dilation * a.dh_step
            carried = t >= a.dilation or a.onward
            for u in range(units):
                at = u * ROW
                z, less_f, less_i, n = load_rows(FOUR, saved + at, units * ROW)
                d = load(d_now + at)
                dn = d * z
                d_odds = (n - load(h + at)) * dn * (one - z)
                gate_gradient(a, work, u, constant(0.0) - d_odds * less_f)
                gate_gradient(a, work, units + u, d_odds * less_i)
                gate_gradient(a, work, 2 * units + u, dn)
                if carried:
                    store(dh + at, fma(d, one - z, load(dh + at)))
            input_gradient(a, t, work, 3 * units)
        input_weights(a, 3 * units, low, high - low)
        high = low
