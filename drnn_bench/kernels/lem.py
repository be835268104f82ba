"""The LEM (cells/lem.py), forward and backward: one layer over one block of sequences.

    a = sigmoid(W_1 y' + V_1 x + b_1),  d = sigmoid(W_2 y' + V_2 x + b_2)
    n = tanh(W_z y' + V_z x + b_z),     z = (1 - a) z' + a n
    m = tanh(W_y z + V_y x + b_y),      y = (1 - d) y' + d m

y lies where other cells have h, and z where the LSTM has c. `w_hh` reads the old y, for a, d and n;
`w_last` reads the new z, for m. So a step is two passes over the units, forward and backward.

Legend: H units, s dilation; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.layer import (
    first_sums,
    gate_gradient,
    input_weights,
    look_up_gates,
    state_weights,
)
from drnn_bench.kernels.products import FIVE, FOUR, ONE, THREE, back, cut, tanh
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
def lem_forward(a):
    if a.symbols:
        _steps(a, True)
    else:
        _steps(a, False)


@inline
def _steps(a, symbols):
    units, inputs = a.units, a.inputs
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.x_step
        past, new = t * a.h_step, (t + a.dilation) * a.h_step
        before, now, z_before, z_now = a.h + past, a.h + new, a.c + past, a.c + new
        saved = a.gates + t * a.gates_step
        if symbols:
            look_up_gates(a, t, 4 * units)
        for u in range(units):
            w, v = a.w_ih + u * a.w_step, a.w_hh + 4 * u * units
            sums = dot(first_sums(THREE, a, u, units, symbols), w, units * a.w_step, 4, x, inputs)
            r, d, n = dot(sums, v, 4 * units * units, 4, before, units)
            r, n = rate(r), tanh(n)
            z = load(z_before + u * ROW)
            store(z_now + u * ROW, fma(r, n - z, z))
            store_rows(saved + 4 * u * ROW, (r, rate(d), n))
        fives, fours = cut(units, 5)
        u = 0
        while u < units:
            if u < fives:
                _outputs(FIVE, a, u, x, before, now, z_now, saved, symbols)
                u += 5
            elif u < fours:
                _outputs(FOUR, a, u, x, before, now, z_now, saved, symbols)
                u += 4
            else:
                _outputs(ONE, a, u, x, before, now, z_now, saved, symbols)
                u += 1


@inline
def _outputs(shape, a, u, x, before, now, z_now, saved, symbols):
    units, row = a.units, 3 * a.units + u
    sums = first_sums(shape, a, row, 1, symbols)
    sums = dot(sums, a.w_ih + row * a.w_step, a.w_step, 4, x, a.inputs)
    store_rows(now + u * ROW, dot(sums, a.w_last + 4 * u * units, 4 * units, 4, z_now, units))
    for v in range(u, u + len(shape)):
        at, gates = v * ROW, saved + 4 * v * ROW
        m, y = tanh(load(now + at)), load(before + at)
        store(gates + 3 * ROW, m)
        store(now + at, fma(load(gates + ROW), m - y, y))


@kernel
def lem_backward(a):
    units, inputs = a.units, a.inputs
    last = 3 * units * ROW  # the gradients of a, d, n and m stand one after the other
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            saved = a.gates + t * a.gates_step
            y, dy = a.h + t * a.h_step, a.dh + t * a.dh_step
            d_now = dy + a.dilation * a.dh_step
            z_before = a.c + t * a.h_step
            dz = a.dc + t % a.dilation * a.h_step
            carried = t >= a.dilation or a.onward
            for u in range(units):
                at, gates = u * ROW, saved + 4 * u * ROW
                d, m, grad = load(gates + ROW), load(gates + 3 * ROW), load(d_now + at)
                gate_gradient(a, work, units + u, grad * (m - load(y + at)) * d * (one - d))
                gate_gradient(a, work, 3 * units + u, grad * d * (one - m * m))
                if carried:
                    store(dy + at, fma(grad, one - d, load(dy + at)))
            back(dz, 0, a.w_last, 4 * units, units, work + last, units)
            for u in range(units):
                at, gates = u * ROW, saved + 4 * u * ROW
                r, n, grad = load(gates), load(gates + 2 * ROW), load(dz + at)
                gate_gradient(a, work, u, grad * (n - load(z_before + at)) * r * (one - r))
                gate_gradient(a, work, 2 * units + u, grad * r * (one - n * n))
                store(dz + at, grad * (one - r))
            if carried:
                back(dy, 0, a.w_hh, 4 * units, units, work, 3 * units)
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * a.dx_step
                back(dx, a.dx_fresh, a.w_ih, a.w_step, inputs, work, 4 * units)
        work, steps = a.work, high - low
        input_weights(a, 4 * units, low, steps)
        state_weights(a, a.d_w_hh, work, 3 * units, a.h + low * a.h_step, steps)
        z_now = a.c + (low + a.dilation) * a.h_step
        state_weights(a, a.d_w_last, work + last, units, z_now, steps)
        high = low
