"""The cells, forward and backward: one layer over one block of COLUMNS sequences.

Everything lies as rows of COLUMNS sequences, step by step, so that the batch fills the vectors
whatever the width is, and time is walked in its natural order with step t-s at hand: no padding
and no reshape for any dilation s. Forward takes one unit at a time: all its gates, from both
products to the new state, stay in registers. Backward is the cell's derivative row by row, then
the products with the transposed weights; the state's gradient is added straight into that of step
t-s. Gate gradients live only for a few steps, in the second cache, until the weights' gradients
have read them.

Legend: T steps, I inputs, H units, s dilation; addresses are in bytes, of rows unless said.
"""

from __future__ import annotations

from collections import namedtuple

from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.products import FIVE, FOUR, ONE, back, cut, gradient, sigmoid, tanh
from drnn_bench.kernels.vectors import (
    ROW,
    constant,
    dot,
    fma,
    load,
    load_int,
    load_rows,
    spread,
    spread_rows,
    store,
    store_rows,
)

# One layer of one block. Forward:
#   x, order    the inputs [*, I] and, per step, which of them it takes (T whole numbers)
#   h, c        the states [s + T, H]: before step 0, then after every step
#   gates       what backward needs [T, H, ...]; gates_step bytes a step, 0 to keep none
#   w_ih, w_hh, bias, w_last   float32, as torch has them; w_last: the skip cell's edge from t-1
# Backward adds:
#   dh          gradient of h [s + T, H], changed in place; of the first s only if state_wanted
#   dc          gradient of c, a ring [s, H] in which step t of h has slot t mod s
#   dx          gradient of the inputs, or 0; dx_fresh: written, not added
#   d_w_ih .. d_w_last          float32, added to
#   work, chunk gate gradients of up to `chunk` steps
#   one, count, zeros          a row of ones; 0, 1, 2, ...; as many zeros
Layer = namedtuple(
    "Layer",
    "steps dilation inputs units x order h c gates gates_step w_ih w_hh bias w_last "
    "dh dc dx dx_fresh state_wanted d_w_ih d_w_hh d_bias d_w_last work chunk one count zeros",
)
GATES = {"rnn": 0, "skip": 0, "gru": 4, "lstm": 4}  # rows of `gates` per unit
WORK = {"rnn": 1, "skip": 1, "gru": 4, "lstm": 4}  # rows of `work` per unit and step


@kernel
def gru_forward(a):
    units, inputs = a.units, a.inputs
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * inputs * ROW
        before = a.h + t * units * ROW
        now = before + a.dilation * units * ROW
        kept = a.gates + t * a.gates_step
        for u in range(units):
            w, v, b = a.w_ih + 4 * u * inputs, a.w_hh + 4 * u * units, a.bias + 4 * u
            start = (spread(b), spread(b + 4 * units), spread(b + 8 * units))
            r, z, n = dot(start, w, 4 * units * inputs, 4, x, inputs)
            r, z, m = dot((r, z, constant(0.0)), v, 4 * units * units, 4, before, units)
            r, z = sigmoid(r), sigmoid(z)
            n = tanh(fma(r, m, n))
            store(now + u * ROW, fma(z, load(before + u * ROW) - n, n))
            store_rows(kept + 4 * u * ROW, (r, z, n, m))


@kernel
def gru_backward(a):
    units, inputs = a.units, a.inputs
    width, step = units * ROW, 4 * units * ROW  # work of a step: gradients of r, z, n, m
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * step
            kept = a.gates + t * a.gates_step
            h, dh = a.h + t * width, a.dh + t * width
            carried = t >= a.dilation or a.state_wanted
            for u in range(units):
                at = u * ROW
                r, z, n, m = load_rows(FOUR, kept + 4 * at)
                d = load(dh + a.dilation * width + at)
                dn = d * (one - z) * (one - n * n)
                store(work + at, dn * m * r * (one - r))
                store(work + width + at, d * (load(h + at) - n) * z * (one - z))
                store(work + 2 * width + at, dn)
                store(work + 3 * width + at, dn * r)
                if carried:
                    store(dh + at, fma(d, z, load(dh + at)))
            if carried:
                back(dh, 0, a.w_hh, units, work, 2 * units)
                last = a.w_hh + 8 * units * units
                back(dh, 0, last, units, work + 3 * width, units)
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * inputs * ROW
                back(dx, a.dx_fresh, a.w_ih, inputs, work, 3 * units)
        _inputs(a, step, 3 * units, low, high)
        h, steps = a.h + low * width, high - low
        gradient(a.d_w_hh, units, a.work, step, 2 * units, h, a.count, steps)
        last = a.d_w_hh + 8 * units * units
        gradient(last, units, a.work + 3 * width, step, units, h, a.count, steps)
        high = low


@kernel
def lstm_forward(a):
    units, inputs = a.units, a.inputs
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * inputs * ROW
        before, now = a.h + t * units * ROW, a.h + (t + a.dilation) * units * ROW
        c_before, c_now = a.c + t * units * ROW, a.c + (t + a.dilation) * units * ROW
        kept = a.gates + t * a.gates_step
        for u in range(units):
            w, v, b = a.w_ih + 4 * u * inputs, a.w_hh + 4 * u * units, a.bias + 4 * u
            start = (spread(b), spread(b + 4 * units), spread(b + 8 * units),
                     spread(b + 12 * units))  # fmt: skip
            sums = dot(start, w, 4 * units * inputs, 4, x, inputs)
            i, f, g, o = dot(sums, v, 4 * units * units, 4, before, units)
            i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
            c = fma(f, load(c_before + u * ROW), i * g)
            store(c_now + u * ROW, c)
            store(now + u * ROW, o * tanh(c))
            store_rows(kept + 4 * u * ROW, (i, f, g, o))


@kernel
def lstm_backward(a):
    units, inputs = a.units, a.inputs
    width, step = units * ROW, 4 * units * ROW
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * step
            kept = a.gates + t * a.gates_step
            dh, now = a.dh + t * width, (t + a.dilation) * width
            ring = a.dc + t % a.dilation * width
            for u in range(units):
                at = u * ROW
                i, f, g, o = load_rows(FOUR, kept + 4 * at)
                d, tc = load(a.dh + now + at), tanh(load(a.c + now + at))
                dc = fma(d * o, one - tc * tc, load(ring + at))
                store(work + at, dc * g * i * (one - i))
                store(work + width + at, dc * load(a.c + t * width + at) * f * (one - f))
                store(work + 2 * width + at, dc * i * (one - g * g))
                store(work + 3 * width + at, d * tc * o * (one - o))
                store(ring + at, dc * f)
            if t >= a.dilation or a.state_wanted:
                back(dh, 0, a.w_hh, units, work, 4 * units)
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * inputs * ROW
                back(dx, a.dx_fresh, a.w_ih, inputs, work, 4 * units)
        _inputs(a, step, 4 * units, low, high)
        h = a.h + low * width
        gradient(a.d_w_hh, units, a.work, step, 4 * units, h, a.count, high - low)
        high = low


@kernel
def rnn_forward(a):
    units = a.units
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.inputs * ROW
        before = a.h + t * units * ROW
        now = before + a.dilation * units * ROW
        fives, fours = cut(units, 5)
        u = 0
        while u < units:
            if u < fives:
                _rnn_units(FIVE, a, u, x, before, now)
                u += 5
            elif u < fours:
                _rnn_units(FOUR, a, u, x, before, now)
                u += 4
            else:
                _rnn_units(ONE, a, u, x, before, now)
                u += 1


@inline
def _rnn_units(shape, a, u, x, before, now):
    units, inputs, out = a.units, a.inputs, now + u * ROW
    sums = spread_rows(shape, a.bias + 4 * u)
    sums = dot(sums, a.w_ih + 4 * u * inputs, 4 * inputs, 4, x, inputs)
    sums = dot(sums, a.w_hh + 4 * u * units, 4 * units, 4, before, units)
    if a.w_last:  # the skip cell
        sums = dot(sums, a.w_last + 4 * u * units, 4 * units, 4, now - units * ROW, units)
    store_rows(out, sums)
    for at in range(out, out + len(shape) * ROW, ROW):
        store(at, tanh(load(at)))


@kernel
def rnn_backward(a):
    units, inputs = a.units, a.inputs
    width = units * ROW
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * width
            now = (t + a.dilation) * width
            for at in range(0, width, ROW):
                h = load(a.h + now + at)
                store(work + at, load(a.dh + now + at) * (one - h * h))
            if t >= a.dilation or a.state_wanted:
                back(a.dh + t * width, 0, a.w_hh, units, work, units)
            if a.w_last:
                back(a.dh + now - width, 0, a.w_last, units, work, units)
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * inputs * ROW
                back(dx, a.dx_fresh, a.w_ih, inputs, work, units)
        _inputs(a, width, units, low, high)
        h = a.h + low * width
        gradient(a.d_w_hh, units, a.work, width, units, h, a.count, high - low)
        if a.w_last:
            h += (a.dilation - 1) * width
            gradient(a.d_w_last, units, a.work, width, units, h, a.count, high - low)
        high = low


@inline
def _inputs(a, step, rows, low, high):
    """Gradients of the input weights and biases, from the work of steps low .. high."""
    steps = high - low
    gradient(a.d_w_ih, a.inputs, a.work, step, rows, a.x, a.order + 8 * low, steps)
    gradient(a.d_bias, 1, a.work, step, rows, a.one, a.zeros, steps)


KERNELS = {
    "rnn": (rnn_forward, rnn_backward),
    "skip": (rnn_forward, rnn_backward),
    "gru": (gru_forward, gru_backward),
    "lstm": (lstm_forward, lstm_backward),
}
