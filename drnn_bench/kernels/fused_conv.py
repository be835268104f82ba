"""Causal convolutions over blocks of sequences, forward and backward, with or without a ReLU.

    y_s = b + sum_j W_j x_{row(j, s)},  j = 0..k-1

A tile of channels stays in registers through all taps, so an output is written once; torch's
product of each tap reads and writes all of them. Gradients of the outputs wait for a few steps, in
the second cache, until the gradients of the weights have read them.

The rows that taps read are those of `Taps`: where few outputs are wanted, no others are computed.

Legend: N blocks, T rows of inputs, S outputs, I inputs, C channels, L = COLUMNS sequences, k taps,
the newest first; addresses are in bytes, and of rows of a register tile where nothing else is said.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels.blocks import arguments, each_block, threads
from drnn_bench.kernels.calls import addresses_of
from drnn_bench.kernels.checks import check_gradients
from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.layout import (
    as_array,
    empty,
    fresh,
    from_block,
    numbers,
    put_in_block,
    to_block,
)
from drnn_bench.kernels.products import FIVE, FOUR, ONE, back, cut, gradient
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.taps import Taps
from drnn_bench.kernels.tiles import dot
from drnn_bench.kernels.vectors import (
    add_sum,
    constant,
    load,
    load_int,
    spread_rows,
    store,
    store_rows,
    where_open,
)

CHUNK = 8  # steps whose gradients wait
# One block.
#   x, y         inputs [T, I] and outputs [S, C]
#   w, bias      float32 [k, C, I] and [C]
#   rows, starts, first   those of `Taps`, int64
#   relu         whether the outputs go through a ReLU
# Backward adds:
#   dy           gradient of y [S, C]
#   dx           gradient of x [T, I], or 0
#   d_w          float32 [k, C, I], added to
#   d_bias       a register for each channel, added to
#   work         room for the gradients of CHUNK steps
FIELDS = (
    "steps", "inputs", "channels", "taps", "rows", "starts", "first",
    "x", "y", "w", "bias", "relu", "dy", "dx", "d_w", "d_bias", "work",
)  # fmt: skip
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])


@kernel
def conv_forward(a):
    channels = a.channels
    fives, fours = cut(channels, 5)
    for s in range(a.steps):
        y = a.y + s * channels * ROW
        u = np.int64(0)  # of the literal 0 Numba would compile a version of its own
        while u < channels:
            if u < fives:
                _units(FIVE, a, s, u, y + u * ROW)
                u += 5
            elif u < fours:
                _units(FOUR, a, s, u, y + u * ROW)
                u += 4
            else:
                _units(ONE, a, s, u, y + u * ROW)
                u += 1


@inline
def _input(a, j, s):
    """The row of the inputs that tap j of output s reads."""
    return load_int(a.rows + 8 * (j * a.steps + s)) * a.inputs * ROW


@inline
def _within(a, j, s):
    """Whether the tap lies within the sequence; if not, older ones do not either."""
    return j < a.taps and s >= load_int(a.starts + 8 * j)


@inline
def _units(shape, a, s, u, out):
    """A tile of channels of one output."""
    inputs, w = a.inputs, a.w + 4 * u * a.inputs
    sums = spread_rows(shape, a.bias + 4 * u, 4)
    j = np.int64(0)  # of the literal 0 Numba would compile a version of its own
    while _within(a, j, s):
        sums = dot(sums, w, 4 * inputs, 4, a.x + _input(a, j, s), inputs)
        w += 4 * a.channels * inputs
        j += 1
    store_rows(out, sums)
    if a.relu:
        for at in range(out, out + len(shape) * ROW, ROW):
            row = load(at)
            store(at, where_open(row, row))


@kernel
def conv_backward(a):
    channels, inputs = a.channels, a.inputs
    wide, high = 4 * inputs, a.steps
    while high > 0:
        low = max(0, high - CHUNK)
        for s in range(high - 1, low - 1, -1):
            work, at = a.work + (s - low) * channels * ROW, s * channels * ROW
            for u in range(0, channels * ROW, ROW):
                d = load(a.dy + at + u)
                if a.relu:
                    d = where_open(load(a.y + at + u), d)
                store(work + u, d)
                add_sum(a.d_bias + u // ROW * 4 * LANES, d)
            if a.dx:
                j = np.int64(0)
                while _within(a, j, s):
                    dx = a.dx + _input(a, j, s)
                    if load_int(a.first + 8 * (j * a.steps + s)):
                        for i in range(dx, dx + inputs * ROW, ROW):
                            store(i, constant(0.0))
                    back(dx, a.w + j * channels * wide, wide, inputs, work, channels)
                    j += 1
        for j in range(a.taps):
            start = max(low, load_int(a.starts + 8 * j))
            if start < high:
                work, d_w = a.work + (start - low) * channels * ROW, a.d_w + j * channels * wide
                gradient(
                    d_w, wide, inputs, work, channels * ROW, channels,
                    a.x, inputs * ROW, a.rows + 8 * (j * a.steps + start), high - start,
                )  # fmt: skip
        high = low


KERNELS = dict.fromkeys((conv_forward, conv_backward), numba.void(numba.from_dtype(ARGUMENTS)))


class Enter(torch.autograd.Function):
    """[N, T, I, L] of x [B, T, I]."""

    @staticmethod
    def forward(ctx: Any, x_BTI: Tensor) -> Tensor:
        batch, steps, inputs = x_BTI.shape
        ctx.batch = batch
        h_NTIL = fresh(-(-batch // COLUMNS), steps, inputs, COLUMNS)
        x_TBI = as_array(x_BTI).swapaxes(0, 1)
        for block, rows in enumerate(h_NTIL.numpy()):
            to_block(x_TBI, block * COLUMNS, rows)
        return h_NTIL

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        check_gradients(*gradients)
        return _sequences(gradients[0], ctx.batch)


class Leave(torch.autograd.Function):
    """[B, T, C] of h [N, T, C, L], as a view of [T, B, C]."""

    @staticmethod
    def forward(ctx: Any, h_NTCL: Tensor, batch: int) -> Tensor:
        ctx.shape = h_NTCL.shape
        return _sequences(h_NTCL, batch)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        check_gradients(*gradients)
        dh_NTCL, dy_TBC = fresh(*ctx.shape), as_array(gradients[0]).swapaxes(0, 1)
        for block, rows in enumerate(dh_NTCL.numpy()):
            put_in_block(dy_TBC, block * COLUMNS, rows)
        return dh_NTCL, None


def _sequences(h_NTCL: Tensor, batch: int) -> Tensor:
    _, steps, channels, _ = h_NTCL.shape
    y_TBC = fresh(steps, batch, channels)
    for block, rows in enumerate(h_NTCL.detach().numpy()):
        from_block(rows, numbers(steps)[:steps], block * COLUMNS, y_TBC.numpy())
    return y_TBC.transpose(0, 1)


class Convolution(torch.autograd.Function):
    """[N, S, C, L] of x [N, T, I, L], contiguous; `weight` is [k, C, I], `bias` [C]."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, taps: Taps, relu: bool
    ) -> Tensor:
        count, channels, inputs = weight.shape
        y = fresh(len(x), taps.outputs, channels, COLUMNS)
        given = {
            "steps": taps.outputs, "inputs": inputs, "channels": channels, "taps": count,
            "rows": taps.rows_kS.ctypes.data, "starts": taps.starts_k.ctypes.data,
            "first": taps.first_kS.ctypes.data, "relu": int(relu),
        }  # fmt: skip
        layers = arguments(ARGUMENTS, given | addresses_of(w=weight, bias=bias), x=x, y=y)
        each_block(lambda block, *_: conv_forward(layers[block]), len(x), y)
        ctx.given, ctx.taps = given, taps  # whose addresses are given
        # Only a ReLU's backward reads the outputs; others may be changed in place.
        ctx.save_for_backward(x, weight, bias, *([y] if relu else []))
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        check_gradients(*gradients)
        dy = gradients[0].contiguous()
        x, weight, bias, *outputs = ctx.saved_tensors
        (taps, channels, inputs), blocks = weight.shape, len(x)
        dx = fresh(*x.shape) if ctx.needs_input_grad[0] else None
        if dx is not None and not ctx.taps.whole:
            dx.zero_()
        d_weight = fresh(blocks, taps, channels, inputs).zero_()
        d_bias = fresh(blocks, channels, LANES).zero_()
        given = ctx.given | addresses_of(w=weight, bias=bias)
        own = {"y": outputs[0]} if outputs else {}
        if dx is not None:
            own["dx"] = dx
        layers = arguments(ARGUMENTS, given, x=x, dy=dy, d_w=d_weight, d_bias=d_bias, **own)

        def run(block: int, _work: np.ndarray, address: int) -> None:
            layers["work"][block] = address
            conv_backward(layers[block])

        each_block(run, blocks, empty(threads(blocks), CHUNK * channels, COLUMNS))
        of_bias = d_bias.sum((0, 2)) if ctx.needs_input_grad[2] else None
        return dx, d_weight.sum(0), of_bias, None, None
