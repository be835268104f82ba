"""What the CNN families share: architecture, model, and how a convolution is streamed.

Legend: T steps, B batch, I inputs, C channels, k kernel size, d dilation.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from drnn_bench.models.layers import CausalHead, Layer, SequenceModel, affine
from drnn_bench.models.needed import Reads, keep, reads, thinned
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


class ConvolutionalLayer(Layer):
    """A layer of a `ConvolutionalModel`."""

    fused_kernel = kernels.CONVOLUTION

    def forward(self, x_ITB: Tensor, chains: int, stride: int) -> Tensor:
        """[C, T', B]: the outputs at every `stride`-th step, counted back from the last one.
        `chains` is as in `SequenceModel`."""
        raise NotImplementedError

    def in_blocks(self, x_NTIL: Tensor, reads: Reads) -> Tensor:
        """The same over blocks of sequences (`kernels.convolution`), at the steps that are
        needed."""
        raise NotImplementedError


class ConvolutionalModel(SequenceModel[ConvolutionalLayer]):
    def __init__(self, layers: Sequence[ConvolutionalLayer], head: CausalHead, net: Convolutional):
        super().__init__(layers, head)
        self.kernel, self.convolutions = net.kernel, net.convolutions
        self.dilations = net.layer_dilations

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        length = kernels.size(x_BTI.shape[1])
        last = length if last is None else last
        h_NTIL = kernels.in_blocks(x_BTI, list(self.parameters()))
        if h_NTIL is not None:
            every = reads(self.dilations, self.kernel, self.convolutions, length, last)
            for layer, read in zip(self.layers, every, strict=True):
                h_NTIL = layer.in_blocks(h_NTIL, read)
            y_NTOL = kernels.pointwise(h_NTIL, self.head.weight[0], self.head.bias)
            return kernels.out_of_blocks(y_NTOL, len(x_BTI))
        h_ITB = x_BTI.permute(2, 1, 0)
        if last == 1 and not kernels.symbolic(length):
            # A layer computes the steps that the taps of the next one read.
            for layer, d, above in zip(
                self.layers, self.dilations, [*self.dilations[1:], None], strict=True
            ):
                h_ITB = layer(h_ITB, 1, h_ITB.shape[1] if above is None else above // d)
        else:
            rows, chains = thinned(self.dilations, length, last)
            for layer, taken, n in zip(self.layers, rows, chains, strict=True):
                h_ITB = layer(keep(h_ITB, taken, 1), n, 1)
        if kernels.symbolic(length) or h_ITB.shape[1] > last:
            h_ITB = h_ITB[:, -last:]
        return affine(self.head.weight[0], h_ITB, self.head.bias).permute(2, 1, 0)


def stream_conv(
    x_TBI: Tensor,
    weight_CIk: Tensor,
    dilation: int,
    ring: Ring | None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Ring]:
    """`kernels.causal_conv` of the next steps of a sequence, [T, B, C], and the state after them.
    The ring holds the (k-1)*d inputs before them; None: zeros."""
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
