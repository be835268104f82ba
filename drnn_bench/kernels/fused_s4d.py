"""A layer of S4D (models/s4d.py) over blocks of sequences, forward and backward. Each channel has N
states, which read its input, and it reads them; then the channels are mixed.

    s_t = a s_(t-1) + u_t,   y_t = d u_t + sum over the states of Re(w s_t)
    out_t = u_t + W gelu(y_t) + b

A chunk of steps goes through the whole layer while it is in the second cache. Of the layer y is
kept, and the states before each chunk; backward computes those between again, and gelu(y).

Legend: B blocks, T steps, F of them before the first output, H channels, N states of a channel,
K chunks, L = COLUMNS sequences, M = H + 1: the last column of `mix` is b, and beside gelu(y) lies a
row of ones; of complex numbers see `complex_states`. Addresses are in bytes.
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
    advanced,
    by_factor,
    fill_ones,
    keep,
    number,
    retreated,
)
from drnn_bench.kernels.gelu import gelu_and_slope
from drnn_bench.kernels.layout import empty, fresh, numbers_at
from drnn_bench.kernels.products import FIVE, FOUR, ONE, back, cut, gradient
from drnn_bench.kernels.registers import COLUMNS, ROW
from drnn_bench.kernels.tiles import dot
from drnn_bench.kernels.vectors import add_sum, constant, fma, load, load_rows, store, store_rows

# One block.
#   u, out       inputs [T, H] and outputs [T - F, H]
#   y            [T - F, H]; [CHUNK, H] of one chunk where it is not kept
#   kept         whether y and the states are
#   a, w, d      float32 [H, N, 2], [H, N, 2] and [H]
#   mix          float32 [H, M]
#   state        the states [H, N, 2], zeros at first; their gradients in backward
#   before       the states before each chunk [K, H, N, 2]
#   gelus        room for [M] in forward, [CHUNK, M] in backward
# Backward adds:
#   dout, du     gradients of out and u
#   d_a, d_w, d_d  a register for each number of a, w and d, added to
#   d_mix        float32 [H, M], added to
#   dy           room for the gradients of y [CHUNK, H]
#   row          room for [H]
#   states_were  room for a state before the steps of a chunk [CHUNK, 2]
#   count        0, 1, 2, ...
FIELDS = (
    "steps", "first", "channels", "states", "u", "out", "y", "kept", "a", "w", "d", "mix", "state",
    "before", "gelus", "dout", "du", "d_a", "d_w", "d_d", "d_mix", "dy", "row", "states_were",
    "count",
)  # fmt: skip
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])


@kernel
def s4d_forward(a):
    step = a.channels * ROW
    before, out = a.before, a.out
    store(a.gelus + step, constant(1.0))
    low = np.int64(0)  # of the literal 0 Numba would compile a version of its own
    while low < a.steps:
        high, answered = min(a.steps, low + CHUNK), max(low, a.first)
        # The rows of y of step t lie at y + t * step.
        y = a.y - (a.first if a.kept else answered) * step
        state = a.state
        for h in range(a.channels):
            at, d = h * ROW, number(a.d + 4 * h)
            for t in range(answered, high):
                store(y + t * step + at, d * load(a.u + t * step + at))
            for n in range(h * a.states, (h + 1) * a.states):
                re, im = load(state), load(state + ROW)
                if a.kept:
                    keep(before, re, im)
                    before += PAIR
                a_re, a_im = number(a.a + 8 * n), number(a.a + 8 * n + 4)
                for t in range(low, min(answered, high)):
                    re, im = advanced(re, im, a_re, a_im, load(a.u + t * step + at))
                w_re, minus = number(a.w + 8 * n), constant(0.0) - number(a.w + 8 * n + 4)
                for t in range(answered, high):
                    re, im = advanced(re, im, a_re, a_im, load(a.u + t * step + at))
                    place = y + t * step + at
                    store(place, fma(minus, im, fma(w_re, re, load(place))))
                keep(state, re, im)
                state += PAIR
        for t in range(answered, high):
            for at in range(0, step, ROW):
                value, _ = gelu_and_slope(load(y + t * step + at))
                store(a.gelus + at, value)
            _mix(a, a.u + t * step, out)
            out += step
        low = high


@inline
def _mix(a, u, out):
    channels = a.channels
    fives, fours = cut(channels, 5)
    h = np.int64(0)
    while h < channels:
        if h < fives:
            _mixed(FIVE, a, h, u, out)
            h += 5
        elif h < fours:
            _mixed(FOUR, a, h, u, out)
            h += 4
        else:
            _mixed(ONE, a, h, u, out)
            h += 1


@inline
def _mixed(shape, a, h, u, out):
    """A tile of channels of one step."""
    count, at = a.channels + 1, h * ROW
    sums = load_rows(shape, u + at, ROW)
    sums = dot(sums, a.mix + 4 * h * count, 4 * count, 4, a.gelus, count)
    store_rows(out + at, sums)


@kernel
def s4d_backward(a):
    step, high = a.channels * ROW, a.steps
    size = a.channels * a.states * PAIR
    zero = constant(0.0)
    fill_ones(a.gelus, step)
    while high > 0:
        low = (high - 1) // CHUNK * CHUNK
        answered = min(high, max(low, a.first))
        dout = a.dout - a.first * step
        _unmix(a, answered, high)
        dy = a.dy - answered * step
        state, before = a.state, a.before + low // CHUNK * size
        for h in range(a.channels):
            at, d, total = h * ROW, number(a.d + 4 * h), zero
            for t in range(low, answered):
                store(a.du + t * step + at, zero)
            for t in range(answered, high):
                place, row = t * step + at, load(dy + t * step + at)
                store(a.du + place, fma(d, row, load(dout + place)))
                total = fma(row, load(a.u + place), total)
            add_sum(a.d_d + h * SUMS, total)
            for n in range(h * a.states, (h + 1) * a.states):
                _state_back(a, n, state, before, at, dy + at, step, low, answered, high)
                state += PAIR
                before += PAIR
        high = low


@inline
def _unmix(a, low, high):
    """The gradients of y of a chunk, and what the chunk adds to that of `mix`."""
    channels, step = a.channels, a.channels * ROW
    wide = 4 * (channels + 1)
    y, dout = a.y + (low - a.first) * step, a.dout + (low - a.first) * step
    gelus, dy = a.gelus, a.dy
    for s in range(high - low):
        for at in range(0, step, ROW):
            store(a.row + at, constant(0.0))
        back(a.row, a.mix, wide, channels, dout + s * step, channels)
        for at in range(0, step, ROW):
            value, slope = gelu_and_slope(load(y + s * step + at))
            store(gelus + at, value)
            store(dy + at, slope * load(a.row + at))
        gelus += step + ROW
        dy += step
    if low < high:
        gradient(
            a.d_mix, wide, channels + 1, dout, step, channels,
            a.gelus, step + ROW, a.count, high - low,
        )  # fmt: skip


@inline
def _state_back(a, n, state, before, at, dy, step, low, answered, high):
    """One state of one channel through one chunk: first its numbers again, then their gradients."""
    zero = constant(0.0)
    u, du = a.u + at, a.du + at
    a_re, a_im = number(a.a + 8 * n), number(a.a + 8 * n + 4)
    w_re, w_im = number(a.w + 8 * n), number(a.w + 8 * n + 4)
    re, im = load(before), load(before + ROW)
    by_re, by_im, were = zero, zero, a.states_were
    for t in range(low, high):
        keep(were, re, im)
        were += PAIR
        re, im = advanced(re, im, a_re, a_im, load(u + t * step))
        if t >= answered:
            row = load(dy + t * step)
            by_re, by_im = fma(row, re, by_re), fma(row, im, by_im)
    add_pair(a.d_w, n, by_re, zero - by_im)
    # The gradient of a state is that of the next one times conj(a), and what its output gives.
    re, im = load(state), load(state + ROW)
    by_re, by_im = zero, zero
    for t in range(high - 1, low - 1, -1):
        if t >= answered:
            row = load(dy + t * step)
            re, im = fma(row, w_re, re), im - row * w_im
        place = du + t * step
        store(place, load(place) + re)
        were -= PAIR
        by_re, by_im = by_factor(by_re, by_im, re, im, were)
        re, im = retreated(re, im, a_re, a_im)
    add_pair(a.d_a, n, by_re, by_im)
    keep(state, re, im)


KERNELS = dict.fromkeys((s4d_forward, s4d_backward), numba.void(numba.from_dtype(ARGUMENTS)))


class S4DLayer(torch.autograd.Function):
    """out [B, T - F, H, L] of u [B, T, H, L]; a and w [H, N, 2], d [H], mix [H, M], all
    contiguous."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, a: Tensor, w: Tensor, d: Tensor, mix: Tensor, first: int
    ) -> Tensor:
        blocks, steps, channels, _ = u.shape
        states, kept = a.shape[1], any(ctx.needs_input_grad)
        out = fresh(blocks, steps - first, channels, COLUMNS)
        given = {
            "steps": steps, "first": first, "channels": channels, "states": states,
            "kept": int(kept),
        }  # fmt: skip
        rows = {"state": (channels, states, 2), "gelus": (channels + 1,)}
        saved = {}
        if kept:
            saved["y"] = fresh(*out.shape)
            saved["before"] = empty(blocks, -(-steps // CHUNK), channels, states, 2, COLUMNS)
        else:
            rows["y"] = (CHUNK, channels)
        weights = {"a": a, "w": w, "d": d, "mix": mix}
        run(
            s4d_forward,
            arguments(ARGUMENTS, given | addresses_of(**weights), u=u, out=out, **saved),
            **rows,
        )
        ctx.given = given
        ctx.save_for_backward(u, *weights.values(), *saved.values())
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        check_gradients(*gradients)
        u, a, w, d, mix, y, before = ctx.saved_tensors
        channels, du, sums = len(d), fresh(*u.shape), Sums(len(u), a, w, d)
        d_a, d_w, d_d = sums.rows
        d_mix = fresh(len(u), *mix.shape).zero_()
        given = ctx.given | addresses_of(a=a, w=w, d=d, mix=mix) | {"count": numbers_at(CHUNK)}
        own = {
            "u": u, "y": y, "before": before, "dout": gradients[0].contiguous(), "du": du,
            "d_a": d_a, "d_w": d_w, "d_d": d_d, "d_mix": d_mix,
        }  # fmt: skip
        run(
            s4d_backward,
            arguments(ARGUMENTS, given, **own),
            state=(*a.shape,),
            gelus=(CHUNK, channels + 1),
            dy=(CHUNK, channels),
            row=(channels,),
            states_were=(CHUNK, 2),
        )
        return du, *sums.added(), d_mix.sum(0), None
