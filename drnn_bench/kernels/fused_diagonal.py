"""Diagonal linear recurrences with complex states over blocks of sequences, forward and backward.

S4D (models/s4d.py): each channel has N states, which read its input, and it reads them.

    s_t = a s_(t-1) + u_t,   y_t = d u_t + sum over the states of Re(w s_t)

LRU (models/lru.py): each state has a complex input of its own, and all states are the answer.

    x_t = a x_(t-1) + r_t

A state stays in registers while it walks through a chunk of steps, whose inputs and outputs stay in
the first cache: what torch does with products of matrices, or in log2(T) rounds, passes over memory
several times. S4D keeps the states before each chunk, and backward computes those between again.

Legend: B blocks, T steps, F of them before the first output, H channels, N states of a channel
(S4D) or in all (LRU), K chunks, L = COLUMNS sequences; a complex number is a row of real parts and
then one of imaginary parts. Addresses are in bytes.
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
from drnn_bench.kernels.layout import empty, fresh
from drnn_bench.kernels.products import ONE
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.vectors import add_sum, constant, fma, load, spread_rows, store

CHUNK = 16  # steps
# One block.
#   u, y         S4D: inputs [T, H] and outputs [T - F, H]; LRU: inputs and states [T, N, 2]
#   a, w, d      float32 [H, N, 2] and [H]; LRU: a [N, 2] alone
#   state        the states [H, N, 2] or [N, 2], zeros at first; their gradients in backward
#   before       S4D: the states before each chunk [K, H, N, 2], or 0 where none are kept
# Backward adds:
#   dy, du       gradients of y and u
#   d_a, d_w, d_d  a register for each number of a, w and d, added to
#   work         S4D: room for the states before and after the steps of a chunk
FIELDS = (
    "steps", "first", "channels", "states", "u", "y", "a", "w", "d", "state", "before",
    "dy", "du", "d_a", "d_w", "d_d", "work",
)  # fmt: skip
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])
PAIR = 2 * ROW
SUMS = 4 * LANES  # bytes of a register


@inline
def _number(at):
    """A row of the float at an address."""
    return spread_rows(ONE, at, 4)[0]


@inline
def _advanced(re, im, a_re, a_im, to_re):
    """a * state + to_re, a real number."""
    return fma(a_re, re, fma(constant(0.0) - a_im, im, to_re)), fma(a_re, im, a_im * re)


@inline
def _by_a(by_re, by_im, re, im, was):
    """Adds to the gradient of a what one step gives: the gradient of the states after it, times
    conj(the states before it), which lie at `was`."""
    was_re, was_im = load(was), load(was + ROW)
    by_re = fma(re, was_re, fma(im, was_im, by_re))
    return by_re, fma(im, was_re, fma(constant(0.0) - re, was_im, by_im))


@inline
def _back(re, im, a_re, a_im):
    """The gradient of the states before a step from that of those after it: times conj(a)."""
    return fma(a_re, re, a_im * im), fma(a_re, im, (constant(0.0) - a_im) * re)


@inline
def _add(sums, n, re, im):
    add_sum(sums + 2 * n * SUMS, re)
    add_sum(sums + (2 * n + 1) * SUMS, im)


@inline
def _keep(state, re, im):
    store(state, re)
    store(state + ROW, im)


@kernel
def s4d_forward(a):
    step = a.channels * ROW
    before = a.before
    low = np.int64(0)  # of the literal 0 Numba would compile a version of its own
    while low < a.steps:
        high, answered = min(a.steps, low + CHUNK), max(low, a.first)
        state = a.state
        for h in range(a.channels):
            u, y = a.u + h * ROW, a.y + h * ROW - a.first * step
            d = _number(a.d + 4 * h)
            for t in range(answered, high):
                store(y + t * step, d * load(u + t * step))
            for n in range(h * a.states, (h + 1) * a.states):
                re, im = load(state), load(state + ROW)
                if a.before:
                    _keep(before, re, im)
                    before += PAIR
                a_re, a_im = _number(a.a + 8 * n), _number(a.a + 8 * n + 4)
                for t in range(low, min(answered, high)):
                    re, im = _advanced(re, im, a_re, a_im, load(u + t * step))
                w_re, minus = _number(a.w + 8 * n), constant(0.0) - _number(a.w + 8 * n + 4)
                for t in range(answered, high):
                    re, im = _advanced(re, im, a_re, a_im, load(u + t * step))
                    out = y + t * step
                    store(out, fma(minus, im, fma(w_re, re, load(out))))
                _keep(state, re, im)
                state += PAIR
        low = high


@kernel
def s4d_backward(a):
    step, high = a.channels * ROW, a.steps
    size = a.channels * a.states * PAIR
    zero = constant(0.0)
    while high > 0:
        low = (high - 1) // CHUNK * CHUNK
        answered = min(high, max(low, a.first))
        state, before = a.state, a.before + low // CHUNK * size
        for h in range(a.channels):
            u, du, dy = a.u + h * ROW, a.du + h * ROW, a.dy + h * ROW - a.first * step
            d, total = _number(a.d + 4 * h), zero
            for t in range(low, answered):
                store(du + t * step, zero)
            for t in range(answered, high):
                row = load(dy + t * step)
                store(du + t * step, d * row)
                total = fma(row, load(u + t * step), total)
            add_sum(a.d_d + h * SUMS, total)
            for n in range(h * a.states, (h + 1) * a.states):
                _s4d_backward(a, n, state, before, u, du, dy, step, low, answered, high)
                state += PAIR
                before += PAIR
        high = low


@inline
def _s4d_backward(a, n, state, before, u, du, dy, step, low, answered, high):
    """One state of one channel through one chunk: first its numbers again, then their gradients."""
    zero = constant(0.0)
    a_re, a_im = _number(a.a + 8 * n), _number(a.a + 8 * n + 4)
    w_re, w_im = _number(a.w + 8 * n), _number(a.w + 8 * n + 4)
    re, im = load(before), load(before + ROW)
    by_re, by_im, work = zero, zero, a.work
    for t in range(low, high):
        _keep(work, re, im)
        work += PAIR
        re, im = _advanced(re, im, a_re, a_im, load(u + t * step))
        if t >= answered:
            row = load(dy + t * step)
            by_re, by_im = fma(row, re, by_re), fma(row, im, by_im)
    _add(a.d_w, n, by_re, zero - by_im)
    # The gradient of a state is that of the next one times conj(a), and what its output gives.
    re, im = load(state), load(state + ROW)
    by_re, by_im = zero, zero
    for t in range(high - 1, low - 1, -1):
        if t >= answered:
            row = load(dy + t * step)
            re, im = fma(row, w_re, re), im - row * w_im
        at = du + t * step
        store(at, load(at) + re)
        work -= PAIR
        by_re, by_im = _by_a(by_re, by_im, re, im, work)
        re, im = _back(re, im, a_re, a_im)
    _add(a.d_a, n, by_re, by_im)
    _keep(state, re, im)


@kernel
def lru_forward(a):
    step = a.states * PAIR
    low = np.int64(0)
    while low < a.steps:
        high = min(a.steps, low + CHUNK)
        for n in range(a.states):
            a_re, a_im = _number(a.a + 8 * n), _number(a.a + 8 * n + 4)
            minus, state = constant(0.0) - a_im, a.state + n * PAIR
            re, im = load(state), load(state + ROW)
            for at in range(low * step + n * PAIR, high * step, step):
                read_re, read_im = load(a.u + at), load(a.u + at + ROW)
                re, im = (
                    fma(a_re, re, fma(minus, im, read_re)),
                    fma(a_re, im, fma(a_im, re, read_im)),
                )
                _keep(a.y + at, re, im)
            _keep(state, re, im)
        low = high


@kernel
def lru_backward(a):
    step, high = a.states * PAIR, a.steps
    zero = constant(0.0)
    while high > 0:
        low = (high - 1) // CHUNK * CHUNK
        for n in range(a.states):
            a_re, a_im = _number(a.a + 8 * n), _number(a.a + 8 * n + 4)
            by_re, by_im, state = zero, zero, a.state + n * PAIR
            re, im = load(state), load(state + ROW)
            for t in range(high - 1, low - 1, -1):
                at = t * step + n * PAIR
                re, im = re + load(a.dy + at), im + load(a.dy + at + ROW)
                _keep(a.du + at, re, im)
                if t:
                    by_re, by_im = _by_a(by_re, by_im, re, im, a.y + at - step)
                re, im = _back(re, im, a_re, a_im)
            _add(a.d_a, n, by_re, by_im)
            _keep(state, re, im)
        high = low


KERNELS = dict.fromkeys(
    (s4d_forward, s4d_backward, lru_forward, lru_backward), numba.void(numba.from_dtype(ARGUMENTS))
)


class S4DScan(torch.autograd.Function):
    """y [B, T - F, H, L] of u [B, T, H, L]; a and w [H, N, 2], d [H], all contiguous."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, a: Tensor, w: Tensor, d: Tensor, first: int) -> Tensor:
        blocks, steps, channels, _ = u.shape
        states = a.shape[1]
        y = fresh(blocks, steps - first, channels, COLUMNS)
        given = {
            "steps": steps, "first": first, "channels": channels, "states": states,
        }  # fmt: skip
        kept = {}
        if any(ctx.needs_input_grad):
            chunks = -(-steps // CHUNK)
            kept = {"before": empty(blocks, chunks, channels, states, 2, COLUMNS)}
        calls = arguments(ARGUMENTS, given | addresses_of(a=a, w=w, d=d), u=u, y=y, **kept)
        run(s4d_forward, calls, state=(channels, states, 2))
        ctx.given = given
        ctx.save_for_backward(u, a, w, d, *kept.values())
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        check_gradients(*gradients)
        dy = gradients[0].contiguous()
        u, a, w, d, before = ctx.saved_tensors
        du, sums = fresh(*u.shape), Sums(len(u), a, w, d)
        d_a, d_w, d_d = sums.rows
        own = {"u": u, "dy": dy, "du": du, "before": before, "d_a": d_a, "d_w": d_w, "d_d": d_d}
        calls = arguments(ARGUMENTS, ctx.given | addresses_of(a=a, w=w, d=d), **own)
        run(s4d_backward, calls, state=(*a.shape,), work=(CHUNK, 2))
        return du, *sums.added(), None


class LRUScan(torch.autograd.Function):
    """The states [B, T, N, 2, L] of what they read, of the same shape; a [N, 2], contiguous."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, a: Tensor) -> Tensor:
        x = fresh(*r.shape)
        ctx.given = {"steps": r.shape[1], "states": len(a)}
        calls = arguments(ARGUMENTS, ctx.given | addresses_of(a=a), u=r, y=x)
        run(lru_forward, calls, state=(len(a), 2))
        ctx.save_for_backward(x, a)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        check_gradients(*gradients)
        x, a = ctx.saved_tensors
        dx = gradients[0].contiguous()
        dr, sums = fresh(*x.shape), Sums(len(x), a)
        own = {"u": x, "y": x, "dy": dx, "du": dr, "d_a": sums.rows[0]}
        calls = arguments(ARGUMENTS, ctx.given | addresses_of(a=a), **own)
        run(lru_backward, calls, state=(len(a), 2))
        return dr, *sums.added()
