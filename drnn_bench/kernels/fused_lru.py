"""A layer of the LRU (models/lru.py) over blocks of sequences, forward and backward.

    v_t = (u_t - mean u_t) / sqrt(var u_t + epsilon), over the channels
    x_t = a x_(t-1) + B v_t,   y_t = C x_t + d v_t
    out_t = u_t + p_t sigmoid(q_t),   (p_t, q_t) = W gelu(y_t) + b

A chunk of steps goes through the whole layer while it is in the second cache. Only the states
before each chunk are kept; backward computes the rest again.

Legend: B blocks, T steps, F of them before the first output, H channels, N states, K chunks,
S = 2N real and imaginary parts, side by side, L = COLUMNS sequences, M = H + 1: the last column of
`mix` is b, and beside gelu(y) lies a row of ones. Addresses are in bytes.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels.blocks import arguments
from drnn_bench.kernels.calls import Sums, addresses_of, run
from drnn_bench.kernels.checks import check_gradients
from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.complex_states import (
    CHUNK,
    PAIR,
    SUMS,
    add_pair,
    by_factor,
    copy_rows,
    fill_ones,
    keep,
    number,
    retreated,
)
from drnn_bench.kernels.gelu import gelu_and_slope
from drnn_bench.kernels.layout import empty, fresh, numbers_at
from drnn_bench.kernels.products import back, forth, gradient, sigmoid
from drnn_bench.kernels.registers import COLUMNS, ROW
from drnn_bench.kernels.vectors import add_sum, constant, fma, load, root, store

EPSILON = 1e-5  # of the norm
# One block.
#   u, out       inputs [T, H] and outputs [T - F, H]
#   a            float32 [N, 2]
#   b, c, d      float32 [S, H], [H, S] and [H]
#   mix          float32 [2H, M]
#   state        the states [S], zeros at first; their gradients in backward
#   before       the states before each chunk [K, S]; 0 where they are not kept
# Room for the rows of a chunk, each [CHUNK, ...]:
#   scale, v     one over the deviation, and the normalised inputs [H]
#   x            the states after each step [S]
#   gelus        gelu(y) and ones [M]
#   mixed        p and q [2H], in backward then their gradients
# Backward adds:
#   dout, du     gradients of out and u
#   d_a, d_d     a register for each number of a and d, added to
#   d_b, d_c, d_mix   float32, added to
#   dy           room for the slopes of gelu, then the gradients of y [CHUNK, H]; else 0
#   dx           room for the gradients of x, then of B v [CHUNK, S]
#   dv           room for [H]
#   walking      room for states [S]
#   count        0, 1, 2, ...
FIELDS = (
    "steps", "first", "channels", "states", "u", "out", "a", "b", "c", "d", "mix", "state",
    "before", "scale", "v", "x", "gelus", "mixed", "dout", "du", "d_a", "d_d", "d_b", "d_c",
    "d_mix", "dy", "dx", "dv", "walking", "count",
)  # fmt: skip
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])


@kernel
def lru_forward(a):
    step, size = a.channels * ROW, a.states * PAIR
    before, out = a.before, a.out
    fill_ones(a.gelus, step)
    low = np.int64(0)  # of the literal 0 Numba would compile a version of its own
    while low < a.steps:
        high, answered = min(a.steps, low + CHUNK), max(low, a.first)
        if a.before:
            copy_rows(before, a.state, size)
            before += size
        _walk(a, a.state, low, answered, high)
        mixed = a.mixed
        for t in range(answered, high):
            for at in range(0, step, ROW):
                gate = sigmoid(load(mixed + step + at))
                store(out + at, fma(gate, load(mixed + at), load(a.u + t * step + at)))
            out += step
            mixed += 2 * step
        low = high


@inline
def _walk(a, state, low, answered, high):
    """A chunk from the states before it, at `state`, to p and q of its answered steps; the slopes
    of gelu too where dy is given."""
    step, wide = a.channels * ROW, a.states * PAIR
    v, x = a.v, a.x
    for t in range(low, high):
        _norm(a, a.u + t * step, v, a.scale + (t - low) * ROW)
        _product(x, a.b, a.channels, 2 * a.states, v)
        v += step
        x += wide
    _scan(a, state, high - low)
    gelus, mixed, dy = a.gelus, a.mixed, a.dy
    v, x = a.v + (answered - low) * step, a.x + (answered - low) * wide
    for _ in range(answered, high):
        for at in range(0, step, ROW):  # y lies where gelu(y) will
            store(gelus + at, number(a.d + at // ROW * 4) * load(v + at))
        forth(gelus, a.c, 8 * a.states, a.channels, x, 2 * a.states)
        for at in range(0, step, ROW):
            value, slope = gelu_and_slope(load(gelus + at))
            store(gelus + at, value)
            if a.dy:
                store(dy + at, slope)
        _product(mixed, a.mix, a.channels + 1, 2 * a.channels, gelus)
        v += step
        x += wide
        gelus += step + ROW
        mixed += 2 * step
        dy += step


@inline
def _product(out, w, columns, rows, x):
    """out = w x, for w [rows, columns]."""
    for at in range(0, rows * ROW, ROW):
        store(out + at, constant(0.0))
    forth(out, w, 4 * columns, rows, x, columns)


@inline
def _norm(a, u, v, scale):
    step, share = a.channels * ROW, constant(1.0 / a.channels)
    total = constant(0.0)
    for at in range(0, step, ROW):
        total = total + load(u + at)
    mean, total = total * share, constant(0.0)
    for at in range(0, step, ROW):
        off = load(u + at) - mean
        store(v + at, off)
        total = fma(off, off, total)
    by = constant(1.0) / root(fma(total, share, constant(EPSILON)))
    for at in range(0, step, ROW):
        store(v + at, by * load(v + at))
    store(scale, by)


@inline
def _scan(a, state, steps):
    """What the steps of a chunk read, at x, becomes the states after them."""
    wide = a.states * PAIR
    for n in range(a.states):
        a_re, a_im = number(a.a + 8 * n), number(a.a + 8 * n + 4)
        minus, place = constant(0.0) - a_im, state + n * PAIR
        re, im = load(place), load(place + ROW)
        for at in range(a.x + n * PAIR, a.x + steps * wide, wide):
            read_re, read_im = load(at), load(at + ROW)
            re, im = (
                fma(a_re, re, fma(minus, im, read_re)),
                fma(a_re, im, fma(a_im, re, read_im)),
            )
            keep(at, re, im)
        keep(place, re, im)


@kernel
def lru_backward(a):
    step, wide, high = a.channels * ROW, a.states * PAIR, a.steps
    fill_ones(a.gelus, step)
    while high > 0:
        low = (high - 1) // CHUNK * CHUNK
        answered = min(high, max(low, a.first))
        before = a.before + low // CHUNK * wide
        copy_rows(a.walking, before, wide)
        _walk(a, a.walking, low, answered, high)
        for at in range(0, (answered - low) * wide, ROW):
            store(a.dx + at, constant(0.0))
        if answered < high:
            _unmix(a, answered, high)
            _unread(a, low, answered, high)
        _scan_back(a, before, high - low)
        gradient(
            a.d_b, 4 * a.channels, a.channels, a.dx, wide, 2 * a.states,
            a.v, step, a.count, high - low,
        )  # fmt: skip
        dy = a.dy
        for t in range(low, high):
            for at in range(0, step, ROW):
                store(a.dv + at, constant(0.0))
            if t >= answered:
                for at in range(0, step, ROW):
                    store(a.dv + at, number(a.d + at // ROW * 4) * load(dy + at))
                dy += step
            back(a.dv, a.b, 4 * a.channels, a.channels, a.dx + (t - low) * wide, 2 * a.states)
            _norm_back(a, t, t - low)
        high = low


@inline
def _unmix(a, low, high):
    """From the gradients of the outputs to those of y, and what the chunk adds to that of `mix`."""
    channels, step = a.channels, a.channels * ROW
    wide = 4 * (channels + 1)
    dout, mixed, dy = a.dout + (low - a.first) * step, a.mixed, a.dy
    for _ in range(low, high):
        for at in range(0, step, ROW):
            by, gate = load(dout + at), sigmoid(load(mixed + step + at))
            through = by * gate
            less = constant(1.0) - gate
            store(mixed + step + at, through * less * load(mixed + at))
            store(mixed + at, through)
            store(a.dv + at, constant(0.0))
        back(a.dv, a.mix, wide, channels, mixed, 2 * channels)
        for at in range(0, step, ROW):
            store(dy + at, load(dy + at) * load(a.dv + at))
        dout += step
        mixed += 2 * step
        dy += step
    gradient(
        a.d_mix, wide, channels + 1, a.mixed, 2 * step, 2 * channels,
        a.gelus, step + ROW, a.count, high - low,
    )  # fmt: skip


@inline
def _unread(a, low, answered, high):
    """From the gradients of y to those of the states, and what they add to those of c and d."""
    channels, states = a.channels, 2 * a.states
    step, wide = channels * ROW, states * ROW
    x, v = a.x + (answered - low) * wide, a.v + (answered - low) * step
    dx, dy = a.dx + (answered - low) * wide, a.dy
    gradient(
        a.d_c, 4 * states, states, a.dy, step, channels, x, wide, a.count, high - answered
    )  # fmt: skip
    for at in range(0, step, ROW):
        total = constant(0.0)
        for s in range(0, (high - answered) * step, step):
            total = fma(load(a.dy + s + at), load(v + s + at), total)
        add_sum(a.d_d + at // ROW * SUMS, total)
    for _ in range(answered, high):
        for at in range(0, wide, ROW):
            store(dx + at, constant(0.0))
        back(dx, a.c, 4 * states, states, dy, channels)
        dx += wide
        dy += step


@inline
def _scan_back(a, before, steps):
    """From the gradients of the states, at dx, those of what they read."""
    wide = a.states * PAIR
    for n in range(a.states):
        a_re, a_im = number(a.a + 8 * n), number(a.a + 8 * n + 4)
        by_re, by_im, place = constant(0.0), constant(0.0), a.state + n * PAIR
        re, im = load(place), load(place + ROW)
        for s in range((steps - 1) * wide + n * PAIR, -1, -wide):
            re, im = re + load(a.dx + s), im + load(a.dx + s + ROW)
            keep(a.dx + s, re, im)
            was = a.x + s - wide if s >= wide else before + n * PAIR
            by_re, by_im = by_factor(by_re, by_im, re, im, was)
            re, im = retreated(re, im, a_re, a_im)
        add_pair(a.d_a, n, by_re, by_im)
        keep(place, re, im)


@inline
def _norm_back(a, t, place):
    """du of step t, which lies at `place` in the chunk, from the gradients of v."""
    step, share = a.channels * ROW, constant(-1.0 / a.channels)
    v, du, by = a.v + place * step, a.du + t * step, load(a.scale + place * ROW)
    total, along = constant(0.0), constant(0.0)
    for at in range(0, step, ROW):
        row = load(a.dv + at)
        total = total + row
        along = fma(row, load(v + at), along)
    total, along = total * share, along * share
    for at in range(0, step, ROW):
        row = by * (fma(along, load(v + at), load(a.dv + at)) + total)
        if t >= a.first:
            row = row + load(a.dout + (t - a.first) * step + at)
        store(du + at, row)


KERNELS = dict.fromkeys((lru_forward, lru_backward), numba.void(numba.from_dtype(ARGUMENTS)))


class LRULayer(torch.autograd.Function):
    """out [B, T - F, H, L] of u [B, T, H, L]; a [N, 2], b [S, H], c [H, S], d [H], mix [2H, M], all
    contiguous."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        a: Tensor,
        b: Tensor,
        c: Tensor,
        d: Tensor,
        mix: Tensor,
        first: int,
    ) -> Tensor:
        blocks, steps, channels, _ = u.shape
        states = len(a)
        out = fresh(blocks, steps - first, channels, COLUMNS)
        given = {
            "steps": steps, "first": first, "channels": channels, "states": states,
        }  # fmt: skip
        kept = {}
        if any(ctx.needs_input_grad):
            kept["before"] = empty(blocks, -(-steps // CHUNK), 2 * states, COLUMNS)
        weights = {"a": a, "b": b, "c": c, "d": d, "mix": mix}
        run(
            lru_forward,
            arguments(ARGUMENTS, given | addresses_of(**weights), u=u, out=out, **kept),
            **_room(channels, states),
        )
        ctx.given = given
        ctx.save_for_backward(u, *weights.values(), *kept.values())
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        check_gradients(*gradients)
        u, a, b, c, d, mix, before = ctx.saved_tensors
        channels, states, du, sums = len(d), len(a), fresh(*u.shape), Sums(len(u), a, d)
        d_a, d_d = sums.rows
        d_b, d_c, d_mix = (fresh(len(u), *weight.shape).zero_() for weight in (b, c, mix))
        weights = addresses_of(a=a, b=b, c=c, d=d, mix=mix)
        own = {
            "u": u, "before": before, "dout": gradients[0].contiguous(), "du": du,
            "d_a": d_a, "d_d": d_d, "d_b": d_b, "d_c": d_c, "d_mix": d_mix,
        }  # fmt: skip
        run(
            lru_backward,
            arguments(ARGUMENTS, ctx.given | weights | {"count": numbers_at(CHUNK)}, **own),
            **_room(channels, states),
            dy=(CHUNK, channels),
            dx=(CHUNK, 2 * states),
            dv=(channels,),
            walking=(2 * states,),
        )
        by_a, by_d = sums.added()
        return du, by_a, d_b.sum(0), d_c.sum(0), by_d, d_mix.sum(0), None


def _room(channels: int, states: int) -> dict[str, tuple[int, ...]]:
    """What both passes need of a chunk, in rows."""
    return {
        "state": (2 * states,),
        "scale": (CHUNK,),
        "v": (CHUNK, channels),
        "x": (CHUNK, 2 * states),
        "gelus": (CHUNK, channels + 1),
        "mixed": (CHUNK, 2 * channels),
    }
