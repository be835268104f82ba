"""The cells, forward and backward: one layer over one block of COLUMNS sequences.

Arrays are rows of COLUMNS sequences, step by step. So the batch fills the vectors for any width,
and the state of step t-s is read where it lies: no dilation s needs padding or a reshape. Forward
computes one unit at a time; all its gates stay in registers, from both products to the new state.
Backward computes the cell's derivative row by row, then the products with the transposed weights,
and adds the state's gradient to that of step t-s. Gate gradients wait for a few steps, in the
second cache, until the gradients of the weights have read them.

Every kernel takes one record (`layer.FIELDS`), here `a`, which names its arguments.

Legend: T steps, I inputs, H units, s dilation; addresses are in bytes, and of rows where nothing
else is said.
"""

from __future__ import annotations

import numpy as np

from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.indrnn import indrnn_backward, indrnn_forward
from drnn_bench.kernels.layer import (
    SOURCE,
    first_sums,
    gate_gradient,
    input_gradient,
    input_weights,
    look_up_gates,
    state_weights,
)
from drnn_bench.kernels.lem import lem_backward, lem_forward
from drnn_bench.kernels.min_gru import min_gru_backward, min_gru_forward
from drnn_bench.kernels.min_lstm import min_lstm_backward, min_lstm_forward
from drnn_bench.kernels.products import (
    FIVE,
    FOUR,
    ONE,
    THREE,
    back,
    cut,
    gradient,
    sigmoid,
    tanh,
)
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.tiles import dot
from drnn_bench.kernels.vectors import (
    constant,
    fma,
    load,
    load_int,
    load_rows,
    store,
    store_rows,
)


@kernel
def gru_forward(a):
    if a.symbols:
        _gru_steps(a, True)
    else:
        _gru_steps(a, False)


@inline
def _gru_steps(a, symbols):
    """`symbols` is a constant when this is compiled, so the inner loops have no branch for it."""
    units, inputs = a.units, a.inputs
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.x_step
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        saved = a.gates + t * a.gates_step
        if symbols:
            look_up_gates(a, t, 3 * units)
        for u in range(units):
            w, v = a.w_ih + u * a.w_step, a.w_hh + 4 * u * units
            r, z, n = dot(
                first_sums(THREE, a, u, units, symbols), w, units * a.w_step, 4, x, inputs
            )
            r, z, m = dot((r, z, constant(0.0)), v, 4 * units * units, 4, before, units)
            r, z = sigmoid(r), sigmoid(z)
            n = tanh(fma(r, m, n))
            store(now + u * ROW, fma(z, load(before + u * ROW) - n, n))
            store_rows(saved + 4 * u * ROW, (r, z, n, m))


@kernel
def gru_backward(a):
    units = a.units
    last = 3 * units * ROW  # the gradients of r, z, n and m stand one after the other
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
                r, z, n, m = load_rows(FOUR, saved + 4 * at, ROW)
                d = load(d_now + at)
                dn = d * (one - z) * (one - n * n)
                gate_gradient(a, work, u, dn * m * r * (one - r))
                gate_gradient(a, work, units + u, d * (load(h + at) - n) * z * (one - z))
                gate_gradient(a, work, 2 * units + u, dn)
                store(work + last + at, dn * r)
                if carried:
                    store(dh + at, fma(d, z, load(dh + at)))
            if carried:
                back(dh, a.w_hh, 4 * units, units, work, 2 * units)
                back(dh, a.w_hh + 8 * units * units, 4 * units, units, work + last, units)
            input_gradient(a, t, work, 3 * units)
        work, h, steps = a.work, a.h + low * a.h_step, high - low
        input_weights(a, 3 * units, low, steps)
        state_weights(a, a.d_w_hh, work, 2 * units, h, steps)
        state_weights(a, a.d_w_hh + 8 * units * units, work + last, units, h, steps)
        high = low


@kernel
def lstm_forward(a):
    if a.symbols:
        _lstm_steps(a, True)
    else:
        _lstm_steps(a, False)


@inline
def _lstm_steps(a, symbols):
    units, inputs = a.units, a.inputs
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.x_step
        past, new = t * a.h_step, (t + a.dilation) * a.h_step
        before, now, c_before, c_now = a.h + past, a.h + new, a.c + past, a.c + new
        saved = a.gates + t * a.gates_step
        if symbols:
            look_up_gates(a, t, 4 * units)
        for u in range(units):
            w, v = a.w_ih + u * a.w_step, a.w_hh + 4 * u * units
            sums = dot(first_sums(FOUR, a, u, units, symbols), w, units * a.w_step, 4, x, inputs)
            i, f, g, o = dot(sums, v, 4 * units * units, 4, before, units)
            i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
            c = fma(f, load(c_before + u * ROW), i * g)
            store(c_now + u * ROW, c)
            store(now + u * ROW, o * tanh(c))
            store_rows(saved + 4 * u * ROW, (i, f, g, o))


@kernel
def lstm_backward(a):
    units = a.units
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            saved = a.gates + t * a.gates_step
            dh = a.dh + t * a.dh_step
            d_now = dh + a.dilation * a.dh_step
            past, now = a.c + t * a.h_step, a.c + (t + a.dilation) * a.h_step
            ring = a.dc + t % a.dilation * a.h_step
            for u in range(units):
                at = u * ROW
                i, f, g, o = load_rows(FOUR, saved + 4 * at, ROW)
                d, tc = load(d_now + at), tanh(load(now + at))
                dc = fma(d * o, one - tc * tc, load(ring + at))
                gate_gradient(a, work, u, dc * g * i * (one - i))
                gate_gradient(a, work, units + u, dc * load(past + at) * f * (one - f))
                gate_gradient(a, work, 2 * units + u, dc * i * (one - g * g))
                gate_gradient(a, work, 3 * units + u, d * tc * o * (one - o))
                store(ring + at, dc * f)
            if t >= a.dilation or a.onward:
                back(dh, a.w_hh, 4 * units, units, work, 4 * units)
            input_gradient(a, t, work, 4 * units)
        input_weights(a, 4 * units, low, high - low)
        state_weights(a, a.d_w_hh, a.work, 4 * units, a.h + low * a.h_step, high - low)
        high = low


@kernel
def rnn_forward(a):
    if a.symbols or a.w_last or a.sources != a.sources_end:
        _rnn_steps(a, True)
    else:
        _rnn_steps(a, False)


@inline
def _rnn_steps(a, special):
    units = a.units
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.x_step
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        if special and a.symbols:
            look_up_gates(a, t, units)
        fives, fours = cut(units, 5)
        u = np.int64(0)  # of the literal 0 Numba would compile a version of its own
        while u < units:
            if u < fives:
                _rnn_units(FIVE, a, t, u, x, before, now, special)
                u += 5
            elif u < fours:
                _rnn_units(FOUR, a, t, u, x, before, now, special)
                u += 4
            else:
                _rnn_units(ONE, a, t, u, x, before, now, special)
                u += 1


@inline
def _rnn_units(shape, a, t, u, x, before, now, special):
    units, inputs, out = a.units, a.inputs, now + u * ROW
    sums = first_sums(shape, a, u, 1, special and a.symbols != 0)
    sums = dot(sums, a.w_ih + u * a.w_step, a.w_step, 4, x, inputs)
    if special:
        column = a.w_ih + u * a.w_step + 4 * inputs
        for at in range(a.sources, a.sources_end, SOURCE):
            width = load_int(at)
            row = load_int(at + 8) + load_int(load_int(at + 24) + 8 * t) * load_int(at + 16)
            sums = dot(sums, column, a.w_step, 4, row, width)
            column += 4 * width
    sums = dot(sums, a.w_hh + 4 * u * units, 4 * units, 4, before, units)
    if special and a.w_last:  # the skip cell
        sums = dot(sums, a.w_last + 4 * u * units, 4 * units, 4, now - a.h_step, units)
    store_rows(out, sums)
    for at in range(out, out + len(shape) * ROW, ROW):
        store(at, tanh(load(at)))


@kernel
def rnn_backward(a):
    units, inputs = a.units, a.inputs
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            now = a.h + (t + a.dilation) * a.h_step
            dh = a.dh + t * a.dh_step
            d_now = dh + a.dilation * a.dh_step
            for u in range(units):
                h = load(now + u * ROW)
                gate_gradient(a, work, u, load(d_now + u * ROW) * (one - h * h))
            if t >= a.dilation or a.onward:
                back(dh, a.w_hh, 4 * units, units, work, units)
            if a.w_last:
                back(d_now - a.dh_step, a.w_last, 4 * units, units, work, units)
            input_gradient(a, t, work, units)
            column = a.w_ih + 4 * inputs
            for at in range(a.sources, a.sources_end, SOURCE):
                width = load_int(at)
                row = load_int(at + 32) + load_int(load_int(at + 24) + 8 * t) * load_int(at + 16)
                back(row, column, a.w_step, width, work, units)
                column += 4 * width
        input_weights(a, units, low, high - low)
        column = a.d_w_ih + 4 * inputs
        for at in range(a.sources, a.sources_end, SOURCE):
            width, row, step = load_int(at), load_int(at + 8), load_int(at + 16)
            order, steps = load_int(at + 24) + 8 * low, high - low
            gradient(column, a.w_step, width, a.work, a.work_step, units, row, step, order, steps)
            column += 4 * width
        state_weights(a, a.d_w_hh, a.work, units, a.h + low * a.h_step, high - low)
        if a.w_last:
            h = a.h + (low + a.dilation - 1) * a.h_step
            state_weights(a, a.d_w_last, a.work, units, h, high - low)
        high = low


KERNELS = {
    "rnn": (rnn_forward, rnn_backward),
    "gru": (gru_forward, gru_backward),
    "lstm": (lstm_forward, lstm_backward),
    "min_gru": (min_gru_forward, min_gru_backward),
    "min_lstm": (min_lstm_forward, min_lstm_backward),
    "indrnn": (indrnn_forward, indrnn_backward),
    "lem": (lem_forward, lem_backward),
}
