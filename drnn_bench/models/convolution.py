"""What the CNN families share: architecture, model, and a causal dilated convolution over time.

A model holds its steps as [I, T, B]. So a tap of a convolution is one product of its weights with a
range of steps, and the taps need no copies.

Legend: T steps, B batch, I inputs, C channels, k kernel size, d dilation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.models.architecture import (
    Architecture,
    Paths,
    at_least,
    max_levels,
)
from drnn_bench.models.cost import FLOAT
from drnn_bench.models.layers import Layer, SequenceModel, affine
from drnn_bench.models.needed import keep, thinned
from drnn_bench.models.streaming import Ring, single_step


@dataclass(frozen=True, kw_only=True)
class Convolutional(Architecture):
    """Layers (or blocks) of causal convolutions; layer l has dilation base^(l-1)."""

    base: int = 2
    depth: int = 10
    kernel: int = 2

    convolutions: ClassVar[int] = 1  # in a layer; all have its dilation

    def __post_init__(self) -> None:
        at_least("base", self.base, 1)
        at_least("depth", self.depth, 1)
        at_least("kernel", self.kernel, 2)
        super().__post_init__()

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        return tuple(self.base**level for level in range(self.depth))

    @property
    def period(self) -> None:
        return None

    @property
    def paths(self) -> Paths:
        """A layer counts as one edge, however many convolutions it has."""
        taps = range(self.convolutions * (self.kernel - 1) + 1)
        windows = tuple(tuple(j * d for j in taps) for d in self.layer_dilations)
        return Paths(self.depth, windows=windows)

    @property
    def recurrent_edges_per_node(self) -> float:
        return 0.0

    def sequential_steps(self, length: int) -> int:
        return self.depth

    @property
    def macs_per_step(self) -> int:
        macs, inputs = 0, self.inputs
        for channels in self.widths:
            macs += self.kernel * channels * (inputs + (self.convolutions - 1) * channels)
            inputs = channels
        return macs + inputs * self.output_size

    @property
    def state_bytes(self) -> int:
        """The inputs of every convolution that its older taps read."""
        held, inputs = 0, self.inputs
        for channels, dilation in zip(self.widths, self.layer_dilations, strict=True):
            read = inputs + (self.convolutions - 1) * channels
            held += (self.kernel - 1) * dilation * read
            inputs = channels
        return FLOAT * held

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The largest dilation stays below the sequence length."""
        levels = max_levels(options.get("base", cls.base), length)
        return {} if levels is None else {"depth": levels}


class ConvolutionalModel(SequenceModel[Layer]):
    """Here `layer(x_ITB, chains, stride)` gives [C, T', B]: the outputs at every `stride`-th step,
    counted back from the last one. `chains` is as in `SequenceModel`. Where the fused kernel takes
    the steps, they lie as [N, T, I, L] instead (`kernels.convolution`)."""

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        length = kernels.size(x_BTI.shape[1])
        last = length if last is None else last
        dilations = [layer.dilation for layer in self.layers]
        # Both forms have the steps at axis 1.
        blocks_NTIL = kernels.in_blocks(x_BTI, list(self.parameters()))
        h_ITB = x_BTI.permute(2, 1, 0) if blocks_NTIL is None else blocks_NTIL
        if last == 1 and not kernels.symbolic(
            length
        ):  # a layer computes the steps that the taps of the next one read
            for layer, d, above in zip(self.layers, dilations, [*dilations[1:], None], strict=True):
                h_ITB = layer(h_ITB, 1, h_ITB.shape[1] if above is None else above // d)
        else:
            rows, chains = thinned(tuple(dilations), length, last)
            for layer, taken, n in zip(self.layers, rows, chains, strict=True):
                h_ITB = layer(keep(h_ITB, taken, 1), n, 1)
        h_ITB = h_ITB[:, -last:]
        if blocks_NTIL is not None:
            y_NTOL = causal_conv(h_ITB, self.head.weight[0].unsqueeze(2), 1, self.head.bias)
            return kernels.out_of_blocks(y_NTOL, len(x_BTI))
        return affine(self.head.weight[0], h_ITB, self.head.bias).permute(2, 1, 0)


def causal_conv(
    x_ITB: Tensor,
    weight_CIk: Tensor,
    dilation: int,
    bias: Tensor | None = None,
    stride: int = 1,
    relu: bool = False,
) -> Tensor:
    """y_t = b + sum_j W[:, :, k-1-j] x_{t-j*d}, [C, T, B], or its ReLU: the order of the taps is
    that of nn.Conv1d, the oldest first. Steps before the first count as zeros. Blocks
    [N, T, I, L] give blocks.

    A stride above 1 gives every stride-th step, counted back from the last; the dilation must then
    be 1.
    """
    if x_ITB.dim() == 4:
        return kernels.convolve(x_ITB, weight_CIk, dilation, bias, stride, relu)
    y_CTB = _conv(x_ITB, weight_CIk, dilation, bias, stride)
    return y_CTB.relu_() if relu else y_CTB


def _conv(
    x_ITB: Tensor, weight_CIk: Tensor, dilation: int, bias: Tensor | None, stride: int
) -> Tensor:
    steps, batch = x_ITB.shape[1:]
    if kernels.observed((x_ITB, weight_CIk)):
        return _plain_conv(x_ITB, weight_CIk, dilation, bias, stride)
    if stride > 1:
        return _StridedConv.apply(x_ITB, weight_CIk, stride, bias).unflatten(1, (-1, batch))
    y_CX = _CausalConv.apply(x_ITB.flatten(1), weight_CIk, dilation * batch, bias)
    return y_CX.unflatten(1, (steps, batch))


def _plain_conv(
    x_ITB: Tensor, weight_CIk: Tensor, dilation: int, bias: Tensor | None, stride: int
) -> Tensor:
    """`causal_conv` in operations that can be traced and transformed."""
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


def stream_conv(
    x_TBI: Tensor,
    weight_CIk: Tensor,
    dilation: int,
    ring: Ring | None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Ring]:
    """`causal_conv` of the next steps of a sequence, [T, B, C], and the state after them. The ring
    holds the (k-1)*d inputs before them; None: zeros."""
    kernel = weight_CIk.shape[2]
    size = (kernel - 1) * dilation
    if ring is None:
        ring = Ring((x_TBI.new_zeros(size, *x_TBI.shape[1:]),))
    if single_step(x_TBI):
        taps = [ring.back(j * dilation)[0] for j in range(kernel - 1, 0, -1)]
        y = _product(torch.cat([*taps, x_TBI], 2), weight_CIk, bias)
        ring.push((x_TBI,))
        return y, ring
    seen = torch.cat([ring.ordered()[0], x_TBI])
    return _taps(seen, weight_CIk, dilation, bias), Ring((seen[-size:],))


def _taps(seen_TBI: Tensor, weight_CIk: Tensor, dilation: int, bias: Tensor | None) -> Tensor:
    """The outputs at all steps of which every tap lies within x."""
    kernel = weight_CIk.shape[2]
    steps = len(seen_TBI) - (kernel - 1) * dilation
    taps = [seen_TBI[j * dilation : j * dilation + steps] for j in range(kernel)]
    return _product(torch.cat(taps, 2), weight_CIk, bias)


def _product(taps: Tensor, weight_CIk: Tensor, bias: Tensor | None) -> Tensor:
    """[T, B, C] from the inputs of all taps side by side, [T, B, k*I]."""
    return F.linear(taps, weight_CIk.transpose(1, 2).flatten(1), bias)
