"""Causal convolutions by torch's products, on any device, and differentiable again.

Steps lie as [I, T, B]. So a tap is one product of its weights with a range of steps, and the taps
need no copies.

Legend: T steps, S steps read, B batch, X their columns side by side, I inputs, C and E channels,
k taps, the oldest first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.kernels.observed import observed


def convolve(
    x_ITB: Tensor, weight_CIk: Tensor, dilation: int, bias: Tensor | None, stride: int
) -> Tensor:
    """See `convolution.causal_conv`, without a ReLU."""
    steps, batch = x_ITB.shape[1:]
    if observed((x_ITB, weight_CIk)):
        return _plain_conv(x_ITB, weight_CIk, dilation, bias, stride)
    if stride > 1:
        return _StridedConv.apply(x_ITB, weight_CIk, stride, bias).unflatten(1, (-1, batch))
    y_CX = _CausalConv.apply(x_ITB.flatten(1), weight_CIk, dilation * batch, bias)
    return y_CX.unflatten(1, (steps, batch))


def _plain_conv(
    x_ITB: Tensor, weight_CIk: Tensor, dilation: int, bias: Tensor | None, stride: int
) -> Tensor:
    """`convolve` in operations that can be traced and transformed."""
    steps, kernel = x_ITB.shape[1], weight_CIk.shape[2]
    padded = F.pad(x_ITB, (0, 0, (kernel - 1) * dilation, 0))
    taps = [padded[:, j * dilation : j * dilation + steps] for j in range(kernel)]
    taps_ITBk = torch.stack(taps, 3)[:, (steps - 1) % stride :: stride]
    y_CTB = torch.einsum("cik,itbk->ctb", weight_CIk, taps_ITBk)
    return y_CTB if bias is None else y_CTB + bias[:, None, None]


def _own_dtype(backward: Callable) -> Callable:
    """A backward pass without autocast, also where autocast is on when it is called."""

    @functools.wraps(backward)
    def run(ctx: Any, grad: Tensor) -> tuple:
        with torch.autocast(grad.device.type, enabled=False):
            return backward(ctx, grad)

    return run


class _CausalConv(torch.autograd.Function):
    """A convolution over columns (steps times batch), whose taps lie `shift` columns apart.

    Torch's autograd would fill a whole tensor for the gradient of each tap. nn.Conv1d is slower for
    few taps; on a GPU it computes in TF32, while the products of `stream_conv` are in float32.
    """

    @staticmethod
    def forward(ctx, x_IX: Tensor, weight_CIk: Tensor, shift: int, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_IX, weight_CIk)
        ctx.shift = shift
        newest, *older = weight_CIk.unbind(2)[::-1]
        y = newest @ x_IX if bias is None else torch.addmm(bias.unsqueeze(1), newest, x_IX)
        for back, weight in _taps_within(older, shift, x_IX):
            y[:, back:].addmm_(weight, x_IX[:, :-back])
        return y

    @staticmethod
    @_own_dtype
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor, None, Tensor | None]:
        x_IX, weight_CIk = ctx.saved_tensors
        newest, *older = weight_CIk.unbind(2)[::-1]
        by_x = newest.T @ grad if ctx.needs_input_grad[0] else None
        by_taps = [grad @ x_IX.T]
        for back, weight in _taps_within(older, ctx.shift, x_IX):
            by_taps.append(grad[:, back:] @ x_IX[:, :-back].T)
            if by_x is not None:
                by_x[:, :-back].addmm_(weight.T, grad[:, back:])
        unread = [torch.zeros_like(newest)] * (len(older) + 1 - len(by_taps))
        by_weight = torch.stack([*by_taps, *unread][::-1], 2)
        return by_x, by_weight, None, grad.sum(1) if ctx.needs_input_grad[3] else None


def depthwise(seen_SBE: Tensor, weight_Ek: Tensor, bias_E: Tensor) -> Tensor:
    """`depthwise.depthwise_conv` in operations that can be traced, transformed and differentiated
    again."""
    back = weight_Ek.shape[1] - 1
    steps, y_TBE = seen_SBE.shape[0] - back, bias_E
    for j, weight_E in enumerate(weight_Ek.unbind(1)):
        y_TBE = torch.addcmul(y_TBE, weight_E, seen_SBE[back - j : back - j + steps])
    return y_TBE


class _StridedConv(torch.autograd.Function):
    """A convolution with a stride: the inputs of all taps are copied side by side, which are few,
    and one product gives the outputs."""

    @staticmethod
    def forward(ctx, x_ITB: Tensor, weight_CIk: Tensor, stride: int, bias: Tensor | None) -> Tensor:
        inputs, steps, batch = x_ITB.shape
        kernel, count = weight_CIk.shape[2], (steps - 1) // stride + 1
        ctx.sizes, ctx.reads = (steps, batch), _strided(steps, stride, kernel)
        taps_kITB = x_ITB.new_empty(kernel, inputs, count, batch)
        for tap, (skipped, rows) in zip(taps_kITB, ctx.reads, strict=True):
            tap[:, :skipped] = 0
            tap[:, skipped:] = x_ITB[:, rows]
        weight = weight_CIk.transpose(1, 2).flatten(1)
        columns = taps_kITB.view(kernel * inputs, count * batch)
        ctx.stride, ctx.has_bias = stride, bias is not None
        ctx.save_for_backward(columns, weight, x_ITB, weight_CIk)
        return weight @ columns if bias is None else torch.addmm(bias[:, None], weight, columns)

    @staticmethod
    @_own_dtype
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor, None, Tensor | None]:
        columns, weight, x_ITB, weight_CIk = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated again, but columns carry no graph
            return _plain_gradients(ctx, x_ITB, weight_CIk, grad)
        kernel, (steps, batch) = len(ctx.reads), ctx.sizes
        by_weight = (grad @ columns.T).unflatten(1, (kernel, -1)).transpose(1, 2)
        by_x = None
        if ctx.needs_input_grad[0]:
            taps_kITB = (weight.T @ grad).view(kernel, len(columns) // kernel, -1, batch)
            by_x = grad.new_zeros(taps_kITB.shape[1], steps, batch)
            for tap, (skipped, rows) in zip(taps_kITB, ctx.reads, strict=True):
                by_x[:, rows] += tap[:, skipped:]
        return by_x, by_weight, None, grad.sum(1) if ctx.needs_input_grad[3] else None


def _plain_gradients(ctx: Any, x_ITB: Tensor, weight_CIk: Tensor, grad: Tensor) -> tuple:
    """The gradients of a strided convolution, computed by the plain one so that they can be
    differentiated again."""
    bias = grad.new_zeros(len(grad), requires_grad=True) if ctx.has_bias else None
    y_CX = _plain_conv(x_ITB, weight_CIk, 1, bias, ctx.stride).flatten(1)
    trained = [t for t in (x_ITB, weight_CIk, bias) if t is not None and t.requires_grad]
    gradients = iter(torch.autograd.grad(y_CX, trained, grad, create_graph=True))
    by_x, by_weight, by_bias = (
        next(gradients) if t is not None and t.requires_grad else None
        for t in (x_ITB, weight_CIk, bias)
    )
    return by_x, by_weight, None, by_bias


def _strided(steps: int, stride: int, kernel: int) -> list[tuple[int, slice]]:
    """Per tap, the oldest first: how many outputs read zeros from before the first step, and the
    steps that the other outputs read."""
    first = (steps - 1) % stride
    reads = []
    for back in range(kernel - 1, -1, -1):
        skipped = max(0, -(-(back - first) // stride))
        start = first + skipped * stride - back
        reads.append((skipped, slice(start, max(start, steps - back), stride)))
    return reads


def _taps_within(older: list[Tensor], shift: int, x_IX: Tensor) -> list[tuple[int, Tensor]]:
    """Per older tap, how many columns back it reads, and its weights. Taps that read only zeros are
    left out."""
    return list(zip(range(shift, x_IX.shape[1], shift), older, strict=False))
