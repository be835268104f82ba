"""The LRU's recurrence (models/lru.py) over blocks of sequences, forward and backward: each state
has a complex input of its own, and all states are the answer.

    x_t = a x_(t-1) + r_t

Legend: B blocks, T steps, N states, L = COLUMNS sequences; of complex numbers see `complex_states`.
Addresses are in bytes.
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
from drnn_bench.kernels.compiled import kernel
from drnn_bench.kernels.complex_states import (
    CHUNK,
    PAIR,
    add_pair,
    by_factor,
    keep,
    number,
    retreated,
)
from drnn_bench.kernels.layout import fresh
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.vectors import constant, fma, load

# One block.
#   r, x         inputs and states [T, N, 2]
#   a            float32 [N, 2]
#   state        the states [N, 2], zeros at first; their gradients in backward
# Backward adds:
#   dx, dr       gradients of x and r
#   d_a          a register for each number of a, added to
FIELDS = ("steps", "states", "r", "x", "a", "state", "dx", "dr", "d_a")
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])


@kernel
def lru_forward(a):
    step = a.states * PAIR
    low = np.int64(0)  # of the literal 0 Numba would compile a version of its own
    while low < a.steps:
        high = min(a.steps, low + CHUNK)
        for n in range(a.states):
            a_re, a_im = number(a.a + 8 * n), number(a.a + 8 * n + 4)
            minus, state = constant(0.0) - a_im, a.state + n * PAIR
            re, im = load(state), load(state + ROW)
            for at in range(low * step + n * PAIR, high * step, step):
                read_re, read_im = load(a.r + at), load(a.r + at + ROW)
                re, im = (
                    fma(a_re, re, fma(minus, im, read_re)),
                    fma(a_re, im, fma(a_im, re, read_im)),
                )
                keep(a.x + at, re, im)
            keep(state, re, im)
        low = high


@kernel
def lru_backward(a):
    step, high = a.states * PAIR, a.steps
    zero = constant(0.0)
    while high > 0:
        low = (high - 1) // CHUNK * CHUNK
        for n in range(a.states):
            a_re, a_im = number(a.a + 8 * n), number(a.a + 8 * n + 4)
            by_re, by_im, state = zero, zero, a.state + n * PAIR
            re, im = load(state), load(state + ROW)
            for t in range(high - 1, low - 1, -1):
                at = t * step + n * PAIR
                re, im = re + load(a.dx + at), im + load(a.dx + at + ROW)
                keep(a.dr + at, re, im)
                if t:
                    by_re, by_im = by_factor(by_re, by_im, re, im, a.x + at - step)
                re, im = retreated(re, im, a_re, a_im)
            add_pair(a.d_a, n, by_re, by_im)
            keep(state, re, im)
        high = low


KERNELS = dict.fromkeys((lru_forward, lru_backward), numba.void(numba.from_dtype(ARGUMENTS)))


class LRUScan(torch.autograd.Function):
    """The states [B, T, N, 2, L] of what they read, of the same shape; a [N, 2], contiguous."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, a: Tensor) -> Tensor:
        x = fresh(*r.shape)
        ctx.given = {"steps": r.shape[1], "states": len(a)}
        calls = arguments(ARGUMENTS, ctx.given | addresses_of(a=a), r=r, x=x)
        run(lru_forward, calls, state=(len(a), 2))
        ctx.save_for_backward(x, a)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        check_gradients(*gradients)
        x, a = ctx.saved_tensors
        dx = gradients[0].contiguous()
        dr, sums = fresh(*x.shape), Sums(len(x), a)
        own = {"x": x, "dx": dx, "dr": dr, "d_a": sums.rows[0]}
        calls = arguments(ARGUMENTS, ctx.given | addresses_of(a=a), **own)
        run(lru_backward, calls, state=(len(a), 2))
        return dr, *sums.added()
