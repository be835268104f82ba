"""The minimal LSTM (cells/min_lstm.py), forward and backward: one layer over one block.

    f = sigmoid(W_f x + b_f),  i = sigmoid(W_i x + b_i),  n = W_n x + b_n
    z = i / (f + i),  h_t = (1 - z) h_{t-s} + z n

As the minimal GRU, it is walked in order: see min_gru.py. What backward reads of a step are z,
1 - f, 1 - i and n.

Legend: H units, s dilation; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.layer import first_sums, gate_gradient, input_weights, look_up_gates
from drnn_bench.kernels.products import FIVE, FOUR, ONE, back, cut
from drnn_bench.kernels.rates import rates
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.tiles import dot
from drnn_bench.kernels.vectors import (
    clamp,
    constant,
    fma,
    larger,
    load,
    load_int,
    load_rows,
    store,
    store_rows,
)

INFINITE = float("inf")
LOW = 60.0  # below -LOW a sigmoid is an exponential, in float32


@kernel
def min_lstm_forward(a):
    if a.symbols:
        _steps(a, True)
    else:
        _steps(a, False)


@inline
def _steps(a, symbols):
    units = a.units
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.x_step
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        saved = a.gates + t * a.gates_step
        if symbols:
            look_up_gates(a, t, 3 * units)
        fives, fours = cut(units, 5)
        u = 0
        while u < units:
            if u < fives:
                _units(FIVE, a, u, x, before, now, saved, symbols)
                u += 5
            elif u < fours:
                _units(FOUR, a, u, x, before, now, saved, symbols)
                u += 4
            else:
                _units(ONE, a, u, x, before, now, saved, symbols)
                u += 1


@inline
def _units(shape, a, u, x, before, now, saved, symbols):
    units, at = a.units, saved + u * ROW  # all f of a step, then all i, then all n
    for gate in range(3):
        row = gate * units + u
        sums = first_sums(shape, a, row, 1, symbols)
        sums = dot(sums, a.w_ih + row * a.w_step, a.w_step, 4, x, a.inputs)
        store_rows(at + gate * units * ROW, sums)
    for v in range(u, u + len(shape)):
        at = saved + v * ROW
        f, i, n = load_rows((0, 0, 0), at, units * ROW)
        # Where both are so low that they are exponentials, their share is that of any others of the
        # same difference.
        shift = clamp(larger(f, i) + constant(LOW), -INFINITE, 0.0)
        f, less_f = rates(f - shift)
        i, less_i = rates(i - shift)
        z = i / (f + i)
        h = load(before + v * ROW)
        # Not h + z * (n - h): an infinite state would become NaN at the next step.
        store(now + v * ROW, fma(z, n, (constant(1.0) - z) * h))
        store(at, z)
        store(at + units * ROW, less_f)
        store(at + 2 * units * ROW, less_i)
        store(at + 3 * units * ROW, n)


@kernel
def min_lstm_backward(a):
    units, inputs = a.units, a.inputs
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
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * a.dx_step
                back(dx, a.dx_fresh, a.w_ih, a.w_step, inputs, work, 3 * units)
        input_weights(a, 3 * units, low, high - low)
        high = low
