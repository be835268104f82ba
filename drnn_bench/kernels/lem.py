"""The LEM (cells/lem.py), forward and backward: one layer over one block of sequences.

    a = sigmoid(W_1 y' + V_1 x + b_1),  d = sigmoid(W_2 y' + V_2 x + b_2)
    n = tanh(W_z y' + V_z x + b_z),     z = (1 - a) z' + a n
    m = tanh(W_y z + V_y x + b_y),      y = (1 - d) y' + d m

y lies where other cells have h, and z where the LSTM has c. `w_hh` reads the old y, for a, d and n;
`w_last` reads the new z, for m. So a step is two passes over the units, forward and backward.

Legend: H units, s dilation; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from drnn_bench.kernels.compiled import kernel
from drnn_bench.kernels.layer import (
    gate_gradient,
    input_gradient,
    input_sums,
    input_weights,
    state_weights,
)
from drnn_bench.kernels.products import back, forth, tanh
from drnn_bench.kernels.rates import rate
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.vectors import constant, fma, load, store


@kernel
def lem_forward(a):
    units, high = a.units, a.units * ROW  # a of all units, then d, n and m
    for t in range(a.steps):
        past, new = t * a.h_step, (t + a.dilation) * a.h_step
        before, now, z_before, z_now = a.h + past, a.h + new, a.c + past, a.c + new
        saved = a.gates + t * a.gates_step
        sums = input_sums(a, t, 4 * units, saved)
        forth(sums, a.w_hh, 4 * units, 3 * units, before, units)
        for at in range(0, high, ROW):
            r, n = rate(load(sums + at)), tanh(load(sums + 2 * high + at))
            z = load(z_before + at)
            store(z_now + at, fma(r, n - z, z))
            store(saved + at, r)
            store(saved + high + at, rate(load(sums + high + at)))
            store(saved + 2 * high + at, n)
        forth(sums + 3 * high, a.w_last, 4 * units, units, z_now, units)
        for at in range(0, high, ROW):
            m, y = tanh(load(sums + 3 * high + at)), load(before + at)
            store(saved + 3 * high + at, m)
            store(now + at, fma(load(saved + high + at), m - y, y))


@kernel
def lem_backward(a):
    units, high = a.units, a.units * ROW
    last = 3 * high  # the gradients of a, d, n and m stand one after the other
    one = constant(1.0)
    end = a.steps
    while end > 0:
        low = max(0, end - a.chunk)
        for t in range(end - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            saved = a.gates + t * a.gates_step
            y, dy = a.h + t * a.h_step, a.dh + t * a.dh_step
            d_now = dy + a.dilation * a.dh_step
            z_before = a.c + t * a.h_step
            dz = a.dc + t % a.dilation * a.h_step
            carried = t >= a.dilation or a.onward
            for u in range(units):
                at = u * ROW
                d, m = load(saved + high + at), load(saved + 3 * high + at)
                grad = load(d_now + at)
                gate_gradient(a, work, units + u, grad * (m - load(y + at)) * d * (one - d))
                gate_gradient(a, work, 3 * units + u, grad * d * (one - m * m))
                if carried:
                    store(dy + at, fma(grad, one - d, load(dy + at)))
            back(dz, a.w_last, 4 * units, units, work + last, units)
            for u in range(units):
                at = u * ROW
                r, n, grad = load(saved + at), load(saved + 2 * high + at), load(dz + at)
                gate_gradient(a, work, u, grad * (n - load(z_before + at)) * r * (one - r))
                gate_gradient(a, work, 2 * units + u, grad * r * (one - n * n))
                store(dz + at, grad * (one - r))
            if carried:
                back(dy, a.w_hh, 4 * units, units, work, 3 * units)
            input_gradient(a, t, work, 4 * units)
        work, steps = a.work, end - low
        input_weights(a, 4 * units, low, steps)
        state_weights(a, a.d_w_hh, work, 3 * units, a.h + low * a.h_step, steps)
        z_now = a.c + (low + a.dilation) * a.h_step
        state_weights(a, a.d_w_last, work + last, units, z_now, steps)
        end = low
