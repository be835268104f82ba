"""Dilated causal CNN, with which Chang et al. 2017 compare: causal convolutions with ReLU.

Layer l is h_t = relu(sum_j W_j x_{t - j*d}), j = 0..kernel-1, d = base^(l-1), without bias. Ten
layers of 20 channels at kernel 2 so have 7,450 parameters with the output layer, as in the paper's
table.

Legend: B batch, T steps, I inputs, C channels, k kernel size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from drnn_bench import kernels
from drnn_bench.models.convolution import (
    Convolutional,
    ConvolutionalLayer,
    ConvolutionalModel,
    stream_conv,
)
from drnn_bench.models.layers import CausalHead
from drnn_bench.models.needed import Reads
from drnn_bench.models.streaming import Ring


@dataclass(frozen=True, kw_only=True)
class DilatedCNN(Convolutional):
    family: ClassVar[str] = "dilated_cnn"

    def network(self) -> ConvolutionalModel:
        sizes = (self.input_size, *self.widths)
        layers = [
            ConvLayer(sizes[i], sizes[i + 1], self.kernel, dilation)
            for i, dilation in enumerate(self.layer_dilations)
        ]
        return ConvolutionalModel(layers, CausalHead(sizes[-1], self.output_size), self)


class ConvLayer(ConvolutionalLayer):
    def __init__(self, input_size: int, channels: int, kernel: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(channels, input_size, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x_ITB: Tensor, chains: int, stride: int) -> Tensor:
        return kernels.causal_conv(x_ITB, self.weight, chains, stride=stride, relu=True)

    def in_blocks(self, x_NTIL: Tensor, reads: Reads) -> Tensor:
        return kernels.conv_at(x_NTIL, self.weight, reads.taps[0], relu=True)

    def stream(self, x_TBI: Tensor, state: Ring | None) -> tuple[Tensor, Ring]:
        y, ring = stream_conv(x_TBI, self.weight, self.dilation, state)
        return y.relu(), ring
