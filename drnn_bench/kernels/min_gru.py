"""The minimal GRU (models/min_gru.py), forward and backward: one layer over one block of sequences.

    z = sigmoid(W_z x + b_z),  n = W_n x + b_n,  h_t = (1 - z) h_{t-s} + z n

The gates do not read the state, so a layer can be a parallel scan, as it is on a GPU
(torch_scan.py). On a CPU such a scan reads and writes all states log2(T) times. Walked in order, a
state is still in the cache when the next step reads it.

Legend: H units, s dilation; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.layer import (
    first_sums,
    gate_gradient,
    input_weights,
    look_up_gates,
)
from drnn_bench.kernels.products import (
    FIVE,
    FOUR,
    ONE,
    back,
    cut,
)
from drnn_bench.kernels.rates import rate
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.tiles import dot
from drnn_bench.kernels.vectors import (
    constant,
    fma,
    load,
    load_int,
    store,
    store_rows,
)


@kernel
def min_gru_forward(a):
    if a.symbols:
        _min_gru_steps(a, True)
    else:
        _min_gru_steps(a, False)


@inline
def _min_gru_steps(a, symbols):
    units = a.units
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.x_step
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        saved = a.gates + t * a.gates_step
        if symbols:
            look_up_gates(a, t, 2 * units)
        fives, fours = cut(units, 5)
        u = 0
        while u < units:
            if u < fives:
                _min_gru_units(FIVE, a, u, x, before, now, saved, symbols)
                u += 5
            elif u < fours:
                _min_gru_units(FOUR, a, u, x, before, now, saved, symbols)
                u += 4
            else:
                _min_gru_units(ONE, a, u, x, before, now, saved, symbols)
                u += 1


@inline
def _min_gru_units(shape, a, u, x, before, now, saved, symbols):
    high, w = a.units * ROW, a.w_ih + u * a.w_step  # z of all units, then the candidates
    z = dot(first_sums(shape, a, u, 1, symbols), w, a.w_step, 4, x, a.inputs)
    store_rows(saved + u * ROW, z)
    w, first = w + a.units * a.w_step, first_sums(shape, a, a.units + u, 1, symbols)
    store_rows(saved + high + u * ROW, dot(first, w, a.w_step, 4, x, a.inputs))
    for at in range(u * ROW, (u + len(shape)) * ROW, ROW):
        z = rate(load(saved + at))
        store(saved + at, z)
        # Not h + z * (n - h): an infinite state would become NaN at the next step.
        store(now + at, fma(z, load(saved + high + at), (constant(1.0) - z) * load(before + at)))


@kernel
def min_gru_backward(a):
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
                z, n = load(saved + at), load(saved + units * ROW + at)
                d = load(d_now + at)
                dn = d * z
                # z (n - h) equals h_t - h, but most digits of that difference would cancel.
                gate_gradient(a, work, u, (n - load(h + at)) * dn * (one - z))
                gate_gradient(a, work, units + u, dn)
                if carried:
                    store(dh + at, fma(d, one - z, load(dh + at)))
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * a.dx_step
                back(dx, a.dx_fresh, a.w_ih, a.w_step, inputs, work, 2 * units)
        input_weights(a, 2 * units, low, high - low)
        high = low
