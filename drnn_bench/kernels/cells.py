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
from drnn_bench.kernels.products import FIVE, FOUR, ONE, THREE, back, cut, gradient, sigmoid, tanh
from drnn_bench.kernels.vectors import (
    COLUMNS,
    LANES,
    ROW,
    add_sum,
    add_up,
    constant,
    dot,
    fma,
    load,
    load_int,
    load_rows,
    look_up,
    spread_rows,
    store,
    store_rows,
)

# One layer of one block. Forward:
#   x, order    the inputs [*, I] and, per step, which of them it takes (T whole numbers)
#   h, c        the states [s + T, H]: before step 0, then after every step
#   x_step ..   bytes from step to step
#   gates       what backward needs [T, H, ...]; gates_step is 0 to keep none
#   w_ih, w_hh, bias, w_last   float32, as torch has them; w_last: the skip cell's edge from t-1
#   w_step      bytes of a row of w_ih, which an rnn may share with more inputs:
#   symbols     the input in place of x: whole numbers [*, COLUMNS]; or 0
#   table       an entry of floats for each symbol: what it adds to each gate, with the bias;
#               for backward, the gradient
#   work        room for the gates that were looked up
#   sources     for each, whole numbers: width, address, bytes from step to step, address of its
#               order, address of its gradient
# Backward adds:
#   dh          gradient of h [s + T, H], changed in place; of the first s only if onward
#   dc          gradient of c, a ring [s, H] in which step t of h has slot t mod s
#   dx          gradient of the inputs, or 0; dx_fresh: written, not added
#   d_w_ih .. d_w_last          float32, added to
#   work, chunk gate gradients of up to `chunk` steps
#   count       0, 1, 2, ...
Layer = namedtuple(
    "Layer",
    "steps dilation inputs units x x_step order h h_step c gates gates_step "
    "w_ih w_step w_hh bias w_last symbols table table_step sources sources_end "
    "dh dh_step dc dx dx_step dx_fresh onward d_w_ih d_w_hh d_bias d_w_last "
    "work work_step chunk count",
)
SOURCE = 40  # bytes
GATES = {"rnn": 0, "skip": 0, "gru": 4, "lstm": 4}  # rows of `gates` per unit
WORK = {"rnn": 1, "skip": 1, "gru": 4, "lstm": 4}  # rows of `work` per unit and step


@kernel
def gru_forward(a):
    if a.symbols:
        _gru_steps(a, True)
    else:
        _gru_steps(a, False)


@inline
def _gru_steps(a, symbols):
    """`symbols` is known when this is compiled, and so costs the inner loops no branch."""
    units, inputs = a.units, a.inputs
    for t in range(a.steps):
        x = a.x + load_int(a.order + 8 * t) * a.x_step
        before = a.h + t * a.h_step
        now = before + a.dilation * a.h_step
        kept = a.gates + t * a.gates_step
        if symbols:
            _look_up(a, t, 3 * units)
        for u in range(units):
            w, v = a.w_ih + u * a.w_step, a.w_hh + 4 * u * units
            r, z, n = dot(_first(THREE, a, u, units, symbols), w, units * a.w_step, 4, x, inputs)
            r, z, m = dot((r, z, constant(0.0)), v, 4 * units * units, 4, before, units)
            r, z = sigmoid(r), sigmoid(z)
            n = tanh(fma(r, m, n))
            store(now + u * ROW, fma(z, load(before + u * ROW) - n, n))
            store_rows(kept + 4 * u * ROW, (r, z, n, m))


@kernel
def gru_backward(a):
    units, inputs = a.units, a.inputs
    last = 3 * units * ROW  # the gradients of r, z, n and m stand one after the other
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            kept = a.gates + t * a.gates_step
            h, dh = a.h + t * a.h_step, a.dh + t * a.dh_step
            d_now = dh + a.dilation * a.dh_step
            carried = t >= a.dilation or a.onward
            for u in range(units):
                at = u * ROW
                r, z, n, m = load_rows(FOUR, kept + 4 * at, ROW)
                d = load(d_now + at)
                dn = d * (one - z) * (one - n * n)
                _gate(a, work, u, dn * m * r * (one - r))
                _gate(a, work, units + u, d * (load(h + at) - n) * z * (one - z))
                _gate(a, work, 2 * units + u, dn)
                store(work + last + at, dn * r)
                if carried:
                    store(dh + at, fma(d, z, load(dh + at)))
            if carried:
                back(dh, 0, a.w_hh, 4 * units, units, work, 2 * units)
                back(dh, 0, a.w_hh + 8 * units * units, 4 * units, units, work + last, units)
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * a.dx_step
                back(dx, a.dx_fresh, a.w_ih, a.w_step, inputs, work, 3 * units)
        work, h, steps = a.work, a.h + low * a.h_step, high - low
        _inputs(a, 3 * units, low, steps)
        _weights(a, a.d_w_hh, work, 2 * units, h, steps)
        _weights(a, a.d_w_hh + 8 * units * units, work + last, units, h, steps)
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
        kept = a.gates + t * a.gates_step
        if symbols:
            _look_up(a, t, 4 * units)
        for u in range(units):
            w, v = a.w_ih + u * a.w_step, a.w_hh + 4 * u * units
            sums = dot(_first(FOUR, a, u, units, symbols), w, units * a.w_step, 4, x, inputs)
            i, f, g, o = dot(sums, v, 4 * units * units, 4, before, units)
            i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
            c = fma(f, load(c_before + u * ROW), i * g)
            store(c_now + u * ROW, c)
            store(now + u * ROW, o * tanh(c))
            store_rows(kept + 4 * u * ROW, (i, f, g, o))


@kernel
def lstm_backward(a):
    units, inputs = a.units, a.inputs
    one = constant(1.0)
    high = a.steps
    while high > 0:
        low = max(0, high - a.chunk)
        for t in range(high - 1, low - 1, -1):
            work = a.work + (t - low) * a.work_step
            kept = a.gates + t * a.gates_step
            dh = a.dh + t * a.dh_step
            d_now = dh + a.dilation * a.dh_step
            past, now = a.c + t * a.h_step, a.c + (t + a.dilation) * a.h_step
            ring = a.dc + t % a.dilation * a.h_step
            for u in range(units):
                at = u * ROW
                i, f, g, o = load_rows(FOUR, kept + 4 * at, ROW)
                d, tc = load(d_now + at), tanh(load(now + at))
                dc = fma(d * o, one - tc * tc, load(ring + at))
                _gate(a, work, u, dc * g * i * (one - i))
                _gate(a, work, units + u, dc * load(past + at) * f * (one - f))
                _gate(a, work, 2 * units + u, dc * i * (one - g * g))
                _gate(a, work, 3 * units + u, d * tc * o * (one - o))
                store(ring + at, dc * f)
            if t >= a.dilation or a.onward:
                back(dh, 0, a.w_hh, 4 * units, units, work, 4 * units)
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * a.dx_step
                back(dx, a.dx_fresh, a.w_ih, a.w_step, inputs, work, 4 * units)
        _inputs(a, 4 * units, low, high - low)
        _weights(a, a.d_w_hh, a.work, 4 * units, a.h + low * a.h_step, high - low)
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
            _look_up(a, t, units)
        fives, fours = cut(units, 5)
        u = 0
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
    sums = _first(shape, a, u, 1, special and a.symbols != 0)
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
                _gate(a, work, u, load(d_now + u * ROW) * (one - h * h))
            if t >= a.dilation or a.onward:
                back(dh, 0, a.w_hh, 4 * units, units, work, units)
            if a.w_last:
                back(d_now - a.dh_step, 0, a.w_last, 4 * units, units, work, units)
            if a.dx:
                dx = a.dx + load_int(a.order + 8 * t) * a.dx_step
                back(dx, a.dx_fresh, a.w_ih, a.w_step, inputs, work, units)
            column = a.w_ih + 4 * inputs
            for at in range(a.sources, a.sources_end, SOURCE):
                width = load_int(at)
                row = load_int(at + 32) + load_int(load_int(at + 24) + 8 * t) * load_int(at + 16)
                back(row, 0, column, a.w_step, width, work, units)
                column += 4 * width
        _inputs(a, units, low, high - low)
        column = a.d_w_ih + 4 * inputs
        for at in range(a.sources, a.sources_end, SOURCE):
            width, row, step = load_int(at), load_int(at + 8), load_int(at + 16)
            order, steps = load_int(at + 24) + 8 * low, high - low
            gradient(column, a.w_step, width, a.work, a.work_step, units, row, step, order, steps)
            column += 4 * width
        _weights(a, a.d_w_hh, a.work, units, a.h + low * a.h_step, high - low)
        if a.w_last:
            h = a.h + (low + a.dilation - 1) * a.h_step
            _weights(a, a.d_w_last, a.work, units, h, high - low)
        high = low


@inline
def _gate(a, work, gate, row):
    """The gradient of one gate, for the products to come and for its bias."""
    store(work + gate * ROW, row)
    add_sum(a.d_bias + 4 * LANES * gate, row)


@inline
def _look_up(a, t, gates):
    """The gates' rows of this step, from the entries of its symbols in the table."""
    symbols = a.symbols + 8 * COLUMNS * load_int(a.order + 8 * t)
    for gate in range(0, gates, LANES):
        for column in range(0, COLUMNS, LANES):
            rows, entry = a.work + gate * ROW + 4 * column, a.table + 4 * gate
            look_up(rows, entry, a.table_step, symbols + 8 * column)


@inline
def _first(shape, a, u, apart, symbols):
    """What the sums of gates u, u + apart, ... begin with: their biases, or the rows looked up."""
    if symbols:
        sums = load_rows(shape, a.work + u * ROW, apart * ROW)
    else:
        sums = spread_rows(shape, a.bias + 4 * u, 4 * apart)
    return sums


@inline
def _inputs(a, gates, low, steps):
    """Gradients of the input weights from the work of `steps` steps, the first of them `low`."""
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
def _weights(a, out, work, gates, h, steps):
    """The same of weights that read the states from `h` on."""
    gradient(out, 4 * a.units, a.units, work, a.work_step, gates, h, a.h_step, a.count, steps)


KERNELS = {
    "rnn": (rnn_forward, rnn_backward),
    "skip": (rnn_forward, rnn_backward),
    "gru": (gru_forward, gru_backward),
    "lstm": (lstm_forward, lstm_backward),
}
