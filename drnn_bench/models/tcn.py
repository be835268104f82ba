"""Temporal convolutional network (Bai, Kolter, Koltun 2018, arXiv 1803.01271).

A block has two weight-normalised causal convolutions of one dilation, each followed by ReLU and
dropout, and a shortcut: the identity, or a 1x1 convolution where the sizes differ. Its output is
the ReLU of the sum. Block l has dilation base^(l-1). Eight blocks of 25 channels at kernel 7 have
66,910 parameters on pixel MNIST.

Legend: B batch, T steps, I inputs, C channels, k kernel size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.errors import UserError
from drnn_bench.models.convolution import (
    Convolutional,
    ConvolutionalLayer,
    ConvolutionalModel,
    stream_conv,
)
from drnn_bench.models.layers import CausalHead, computes
from drnn_bench.models.needed import Reads, keep

Convolve = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class TCN(Convolutional):
    depth: int = 8
    kernel: int = 7
    dropout: float = 0.0

    family: ClassVar[str] = "tcn"
    equal_widths: ClassVar[bool] = True
    convolutions: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be at least 0 and below 1, got {self.dropout!r}")
        super().__post_init__()

    @property
    def macs_per_step(self) -> int:
        """With the first block's shortcut; the others' are identities."""
        width = self.widths[0]
        return super().macs_per_step + (self.inputs * width if self.inputs != width else 0)

    def network(self) -> ConvolutionalModel:
        sizes = (self.input_size, *self.widths)
        blocks = [
            Block(sizes[i], sizes[i + 1], self.kernel, dilation, self.dropout)
            for i, dilation in enumerate(self.layer_dilations)
        ]
        return ConvolutionalModel(blocks, CausalHead(sizes[-1], self.output_size), self)


class Block(ConvolutionalLayer):
    def __init__(self, input_size: int, channels: int, kernel: int, dilation: int, dropout: float):
        super().__init__()
        self.dilation, self.dropout = dilation, dropout
        self.conv1 = WeightNormedConv(input_size, channels, kernel)
        self.conv2 = WeightNormedConv(channels, channels, kernel)
        self.shortcut = nn.Linear(input_size, channels) if input_size != channels else nn.Identity()

    def forward(self, x_ITB: Tensor, chains: int, stride: int) -> Tensor:
        def conv(name: str, h: Tensor) -> Tensor:
            part, strides = getattr(self, name), stride if name == "conv2" else 1
            return kernels.causal_conv(h, part.weight, chains, part.bias, strides, relu=True)

        direct = x_ITB[:, (x_ITB.shape[1] - 1) % stride :: stride]
        if isinstance(self.shortcut, nn.Linear):
            direct = kernels.causal_conv(
                direct, self.shortcut.weight[..., None], 1, self.shortcut.bias
            )
        return self._block(x_ITB, conv, direct)

    def in_blocks(self, x_NTIL: Tensor, reads: Reads) -> Tensor:
        taps: dict[str, kernels.Taps] = dict(zip(("conv1", "conv2"), reads.taps, strict=True))

        def conv(name: str, h: Tensor) -> Tensor:
            part = getattr(self, name)
            return kernels.conv_at(h, part.weight, taps[name], part.bias, relu=True)

        direct = keep(x_NTIL, reads.same, 1)
        if isinstance(self.shortcut, nn.Linear):
            direct = kernels.pointwise(direct, self.shortcut.weight, self.shortcut.bias)
        return self._block(x_NTIL, conv, direct)

    def stream(self, x_TBI: Tensor, state: dict | None) -> tuple[Tensor, dict]:
        rings = dict(state or {})

        def conv(name: str, h: Tensor) -> Tensor:
            part = getattr(self, name)
            y, rings[name] = stream_conv(h, part.weight, self.dilation, rings.get(name), part.bias)
            return y.relu()

        return self._block(x_TBI, conv, self.shortcut(x_TBI)), rings

    def _block(self, x: Tensor, conv: Convolve, direct: Tensor) -> Tensor:
        """The block's output, from its input and that of the shortcut (`direct`). The
        convolutions, each with its ReLU, are told by their names: under a tracer a module is not
        always the same object."""
        h = F.dropout(conv("conv1", x), self.dropout, self.training)
        h = F.dropout(conv("conv2", h), self.dropout, self.training)
        return (h + direct).relu_()


class WeightNormedConv(nn.Module):
    """w = g * v / ||v||, the norm over each output channel (Salimans and Kingma 2016)."""

    def __init__(self, input_size: int, channels: int, kernel: int):
        super().__init__()
        self.v = nn.Parameter(torch.empty(channels, input_size, kernel))
        self.g = nn.Parameter(torch.empty(channels))
        if computes(self.v):
            nn.init.kaiming_normal_(self.v, nonlinearity="relu")
            self.g.data = self.v.detach().flatten(1).norm(dim=1)
        self.bias = nn.Parameter(torch.zeros(channels))

    @property
    def weight(self) -> Tensor:
        return self.v * (self.g / self.v.flatten(1).norm(dim=1))[:, None, None]
