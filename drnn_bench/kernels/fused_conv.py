"""Causal convolutions over blocks of sequences, forward and backward, with or without a ReLU.

    y_t = b + sum_j W_j x_{t - j*d},  j = 0..k-1

A tile of channels stays in registers through all taps, so an output is written once; torch's
product of each tap reads and writes all of them. Gradients of the outputs wait for a few steps, in
the second cache, until the gradients of the weights have read them.

Legend: N blocks, T steps, S of them computed, I inputs, C channels, L = COLUMNS sequences, k taps,
the newest first, d their distance; addresses are in bytes, and of rows where nothing else is said.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels.blocks import arguments, each_block, threads
from drnn_bench.kernels.checks import check_gradients
from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.layout import (
    as_array,
    empty,
    fresh,
    from_block,
    numbers,
    numbers_at,
    put_in_block,
    to_block,
)
from drnn_bench.kernels.products import FIVE, FOUR, ONE, back, cut, gradient
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.tiles import dot
from drnn_bench.kernels.vectors import (
    add_sum,
    constant,
    load,
    spread_rows,
    store,
    store_rows,
    where_open,
)

CHUNK = 8  # steps whose gradients wait
# One block. The S outputs belong to steps first, first + stride, ...
#   x, y         inputs [T, I] and outputs [S, C]
#   w, bias      float32 [k, C, I] and [C]
#   relu         whether the outputs go through a ReLU
# Backward adds:
#   dy           gradient of y [S, C]
#   dx, fresh    gradient of x [T, I], written where `fresh`, else added to; or 0
#   d_w          float32 [k, C, I], added to
#   d_bias       a register for each channel, added to
#   work         room for the gradients of CHUNK steps
#   count        0, 1, 2, ...
FIELDS = (
    "steps", "inputs", "channels", "taps", "shift", "first", "stride",
    "x", "y", "w", "bias", "relu", "dy", "dx", "fresh", "d_w", "d_bias", "work", "count",
)  # fmt: skip
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])


@kernel
def conv_forward(a):
    channels = a.channels
    fives, fours = cut(channels, 5)
    for s in range(a.steps):
        t, y = a.first + s * a.stride, a.y + s * channels * ROW
        u = np.int64(0)  # of the literal 0 Numba would compile a version of its own
        while u < channels:
            if u < fives:
                _units(FIVE, a, t, u, y + u * ROW)
                u += 5
            elif u < fours:
                _units(FOUR, a, t, u, y + u * ROW)
                u += 4
            else:
                _units(ONE, a, t, u, y + u * ROW)
                u += 1


@inline
def _units(shape, a, t, u, out):
    """A tile of channels of one step."""
    inputs = a.inputs
    w, x = a.w + 4 * u * inputs, a.x + t * inputs * ROW
    sums = dot(spread_rows(shape, a.bias + 4 * u, 4), w, 4 * inputs, 4, x, inputs)
    for _ in range(min(a.taps - 1, t // a.shift)):
        w += 4 * a.channels * inputs
        x -= a.shift * inputs * ROW
        sums = dot(sums, w, 4 * inputs, 4, x, inputs)
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
                t = a.first + s * a.stride
                dx = a.dx + t * inputs * ROW
                for j in range(min(a.taps, t // a.shift + 1)):
                    # Later outputs came first: this one is the first to read such a row.
                    if a.fresh and (j == a.taps - 1 or s + a.shift >= a.steps):
                        for i in range(dx, dx + inputs * ROW, ROW):
                            store(i, constant(0.0))
                    back(dx, a.w + j * channels * wide, wide, inputs, work, channels)
                    dx -= a.shift * inputs * ROW
        for j in range(a.taps):
            # From this output on, the tap lies within the sequence.
            start = max(low, -((a.first - j * a.shift) // a.stride))
            if start < high:
                x = a.x + (a.first + start * a.stride - j * a.shift) * inputs * ROW
                work, d_w = a.work + (start - low) * channels * ROW, a.d_w + j * channels * wide
                gradient(
                    d_w, wide, inputs, work, channels * ROW, channels,
                    x, a.stride * inputs * ROW, a.count, high - start,
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
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, shift: int, stride: int, relu: bool
    ) -> Tensor:
        first = (x.shape[1] - 1) % stride
        steps, (taps, channels, inputs) = (x.shape[1] - 1) // stride + 1, weight.shape
        y = fresh(len(x), steps, channels, COLUMNS)
        given = {
            "steps": steps, "inputs": inputs, "channels": channels, "taps": taps, "shift": shift,
            "first": first, "stride": stride, "w": weight.data_ptr(), "bias": bias.data_ptr(),
            "relu": int(relu),
        }  # fmt: skip
        layers = arguments(ARGUMENTS, given, x=x, y=y)
        each_block(lambda block, *_: conv_forward(layers[block]), len(x), y)
        ctx.given = given
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
        every = ctx.given["stride"] == 1  # output, so that each input has one that reads it
        if dx is not None and not every:
            dx.zero_()
        d_weight = fresh(blocks, taps, channels, inputs).zero_()
        d_bias = fresh(blocks, channels, LANES).zero_()
        given = ctx.given | {
            "w": weight.data_ptr(), "bias": bias.data_ptr(), "count": numbers_at(CHUNK),
            "fresh": int(every),
        }  # fmt: skip
        own = {"y": outputs[0]} if outputs else {}
        if dx is not None:
            own["dx"] = dx
        layers = arguments(ARGUMENTS, given, x=x, dy=dy, d_w=d_weight, d_bias=d_bias, **own)

        def run(block: int, _work: np.ndarray, address: int) -> None:
            layers["work"][block] = address
            conv_backward(layers[block])

        each_block(run, blocks, empty(threads(blocks), CHUNK * channels, COLUMNS))
        of_bias = d_bias.sum((0, 2)) if ctx.needs_input_grad[2] else None
        return dx, d_weight.sum(0), of_bias, None, None, None
