"""The recurrence of a selective state space (see `selective`) over blocks of sequences.

    a_t = exp(dt_t * rate)
    h_t = a_t h_(t-1) + dt_t x_t b_t,   y_t = sum over the states of c_t h_t

A state stays in registers while it walks through a chunk of steps, and what it decays by is never
written. The states before each chunk are kept, and backward computes those between again. With dy
the gradient of the answers, that of the states runs backwards in time:

    dh_t = c_t dy_t + a_(t+1) dh_(t+1)

Legend: T steps, A of them answered, the last ones, N states, E channels, B batch, L = COLUMNS
sequences. Addresses are in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels.calls import Sums, addresses_of, cut, each_cut, filled, out
from drnn_bench.kernels.checks import one_gradient, plain_gradients
from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.layout import (
    as_array,
    empty,
    put_in_block,
    to_block,
)
from drnn_bench.kernels.products import ONE
from drnn_bench.kernels.rates import decay
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.selective_plain import plain
from drnn_bench.kernels.vectors import add_sum, constant, fma, load, spread_rows, store

CHUNK = 16  # steps
# One block.
#   dt, x, b, c, y  [T, E], [T, E], [T, N], [A, N], [A, E]
#   rate            float32 [N, E]
#   state           [N, E]: the states before the first step, then those after the last; in backward
#                   their gradients, the other way round
#   before          the states before each chunk [K, E, N], or 0 where none are kept
#   work            rows for a chunk: dt x; backward has four more
# Backward adds:
#   dy              gradient of y
#   by_dt, ...      gradients of dt, x, b, c
#   by_rate         a register for each rate, added to
FIELDS = (
    "steps", "first", "channels", "states", "dt", "x", "b", "c", "y", "rate", "state", "before",
    "work", "dy", "by_dt", "by_x", "by_b", "by_c", "by_rate",
)  # fmt: skip
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])
REST = CHUNK * ROW  # bytes of a chunk's rows


@inline
def _rate(a, n, e):
    """The rate of a state of a channel, in every column; `decay` wants it above zero."""
    return constant(0.0) - spread_rows(ONE, a.rate + 4 * (n * a.channels + e), 4)[0]


@inline
def _added(a, e, low, high):
    """Fills the work rows with dt x of a channel's steps."""
    for t in range(low, high):
        at = (t * a.channels + e) * ROW
        store(a.work + (t - low) * ROW, load(a.dt + at) * load(a.x + at))


@inline
def _advanced(a, h, rate, n, e, t, low):
    """The state after step t, and what it kept of the state before."""
    kept = decay(load(a.dt + (t * a.channels + e) * ROW) * rate)
    added = load(a.work + (t - low) * ROW) * load(a.b + (t * a.states + n) * ROW)
    return fma(kept, h, added), kept


@kernel
def selective_forward(a):
    before = a.before
    low = np.int64(0)  # of the literal 0 Numba would compile a version of its own
    while low < a.steps:
        high, answered = min(a.steps, low + CHUNK), max(low, a.first)
        for e in range(a.channels):
            _added(a, e, low, high)
            for t in range(answered, high):
                store(a.y + ((t - a.first) * a.channels + e) * ROW, constant(0.0))
            for n in range(a.states):
                rate, state = _rate(a, n, e), a.state + (n * a.channels + e) * ROW
                h = load(state)
                if a.before:
                    store(before, h)
                    before += ROW
                for t in range(low, min(answered, high)):
                    h, _ = _advanced(a, h, rate, n, e, t, low)
                for t in range(answered, high):
                    h, _ = _advanced(a, h, rate, n, e, t, low)
                    y = a.y + ((t - a.first) * a.channels + e) * ROW
                    store(y, fma(load(a.c + ((t - a.first) * a.states + n) * ROW), h, load(y)))
                store(state, h)
        low = high


@kernel
def selective_backward(a):
    zero, high = constant(0.0), a.steps
    for row in range(a.steps * a.states):
        store(a.by_b + row * ROW, zero)
    for row in range((a.steps - a.first) * a.states):
        store(a.by_c + row * ROW, zero)
    while high > 0:
        low = (high - 1) // CHUNK * CHUNK
        before = a.before + low // CHUNK * a.channels * a.states * ROW
        for e in range(a.channels):
            _added(a, e, low, high)
            for row in range(2 * CHUNK):
                store(a.work + 3 * REST + row * ROW, zero)
            for n in range(a.states):
                _state_backward(a, n, e, before, low, high)
                before += ROW
            for t in range(low, high):
                at, work = (t * a.channels + e) * ROW, a.work + (t - low) * ROW
                by_added = load(work + 3 * REST)
                store(a.by_x + at, by_added * load(a.dt + at))
                store(a.by_dt + at, fma(by_added, load(a.x + at), load(work + 4 * REST)))
        high = low


@inline
def _state_backward(a, n, e, before, low, high):
    """One state of one channel through one chunk: first its numbers again, then their gradients.
    The work rows are dt x, what steps kept, the states before them, and the gradients of dt x and
    of dt by what is kept, which all states of the channel add to."""
    rate, state = _rate(a, n, e), a.state + (n * a.channels + e) * ROW
    answered = min(high, max(low, a.first))
    h = load(before)
    for t in range(low, high):
        work = a.work + (t - low) * ROW
        store(work + 2 * REST, h)
        h, kept = _advanced(a, h, rate, n, e, t, low)
        store(work + REST, kept)
        if t >= answered:
            by_c = a.by_c + ((t - a.first) * a.states + n) * ROW
            dy = load(a.dy + ((t - a.first) * a.channels + e) * ROW)
            store(by_c, fma(dy, h, load(by_c)))
    dh, by_rate = load(state), constant(0.0)
    for t in range(high - 1, low - 1, -1):
        work, at = a.work + (t - low) * ROW, (t * a.states + n) * ROW
        if t >= answered:
            dy = load(a.dy + ((t - a.first) * a.channels + e) * ROW)
            dh = fma(load(a.c + ((t - a.first) * a.states + n) * ROW), dy, dh)
        store(a.by_b + at, fma(dh, load(work), load(a.by_b + at)))
        store(work + 3 * REST, fma(dh, load(a.b + at), load(work + 3 * REST)))
        dh = dh * load(work + REST)
        by_power = dh * load(work + 2 * REST)  # the gradient of dt * rate
        by_rate = fma(by_power, load(a.dt + (t * a.channels + e) * ROW), by_rate)
        store(work + 4 * REST, load(work + 4 * REST) - by_power * rate)
    add_sum(a.by_rate + (n * a.channels + e) * 4 * LANES, by_rate)
    store(state, dh)


KERNELS = dict.fromkeys(
    (selective_forward, selective_backward), numba.void(numba.from_dtype(ARGUMENTS))
)


class FusedScan(torch.autograd.Function):
    """As `selective.selective_scan`, in float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> tuple[Tensor, Tensor]:
        sizes, arrays = _Sizes(*given), _arrays(given)
        rate_NE = given[4].contiguous()
        y_ABE = empty(sizes.answered, sizes.batch, sizes.channels)
        after_NBE, before = torch.empty_like(given[5]), None
        if any(ctx.needs_input_grad):
            before = empty(sizes.blocks, sizes.kept, COLUMNS)
        rows = sizes.rows("dt", "x", "b", "c", "y", "state", work=CHUNK)

        def run(block: int, memory: np.ndarray, _address: int) -> None:
            own = cut(memory, rows)
            for name in ("dt", "x", "b", "c", "state"):
                to_block(arrays[name], block * COLUMNS, own[name])
            call = sizes.call(own, **addresses_of(rate=rate_NE))
            call["before"] = 0 if before is None else before[block].data_ptr()
            selective_forward(call)
            out(own["y"], block, y_ABE)
            out(own["state"], block, after_NBE)

        each_cut(run, sizes.blocks, rows)
        ctx.save_for_backward(*given, *([] if before is None else [before]))
        return y_ABE, after_NBE

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *given, before = ctx.saved_tensors
        if not one_gradient(grads):
            return plain_gradients(plain, given, grads)
        sizes, arrays = _Sizes(*given), _arrays(given)
        rate_NE = given[4].contiguous()
        found, sums = [torch.empty_like(t) for t in given], Sums(sizes.blocks, rate_NE)
        gradients = [as_array(t) for t in grads]
        of = ("dt", "x", "b", "c")
        names = (*of, *(f"by_{name}" for name in of))
        rows = sizes.rows(*names, "dy", "state", work=5 * CHUNK)

        def run(block: int, memory: np.ndarray, _address: int) -> None:
            own = cut(memory, rows)
            for name in of:
                to_block(arrays[name], block * COLUMNS, own[name])
            for name, array in zip(("dy", "state"), gradients, strict=True):
                put_in_block(array, block * COLUMNS, own[name])
            places = addresses_of(rate=rate_NE, before=before[block], by_rate=sums.rows[0][block])
            selective_backward(sizes.call(own, **places))
            for name, gradient in zip(of, found, strict=False):
                out(own[f"by_{name}"], block, gradient)
            out(own["state"], block, found[5])

        each_cut(run, sizes.blocks, rows)
        (found[4],) = sums.added()
        return tuple(found)


class _Sizes:
    def __init__(self, dt: Tensor, x: Tensor, b: Tensor, c: Tensor, rate: Tensor, first: Tensor):
        self.steps, self.batch, self.channels = dt.shape
        self.answered, self.states = len(c), len(rate)
        self.blocks = -(-self.batch // COLUMNS)
        self.kept = -(-self.steps // CHUNK) * self.channels * self.states

    def rows(self, *names: str, work: int) -> dict[str, tuple[int, int]]:
        """The shapes of arrays in the memory of a block, and of its work rows."""
        counts = {"dt": self.steps, "x": self.steps, "b": self.steps, "state": self.states}
        shapes = {"work": (work, 1)}
        for name in names:
            kind = name.removeprefix("by_")
            features = self.states if kind in ("b", "c") else self.channels
            shapes[name] = counts.get(kind, self.answered), features
        return shapes

    def call(self, own: dict[str, np.ndarray], **addresses: int) -> np.void:
        """What a kernel takes of a block whose arrays these are."""
        return filled(
            ARGUMENTS, own, steps=self.steps, first=self.steps - self.answered,
            channels=self.channels, states=self.states, **addresses,
        )  # fmt: skip


def _arrays(given: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """What `selective_scan` is given, by the names of the arguments."""
    names = ("dt", "x", "b", "c", "rate", "state")
    return {name: as_array(t) for name, t in zip(names, given, strict=True)}
