"""Minimal GRU (Feng et al. 2024, arXiv 2410.01201): a GRU whose gates read the input alone.

    z_t = sigmoid(W_z x_t + b_z),  h~_t = W_h x_t + b_h,  h_t = (1 - z_t) h_{t-1} + z_t h~_t

Linear in h, so a layer is a parallel scan of log2(T) rounds. The scan runs in linear space: the
paper's log-space form is off by 1e-4 at T = 784 in float32, this one by 4e-7. On a CPU, where the
rounds would only be passes over memory, the steps are walked in order (kernels/min_gru.py).

Legend: B batch, T steps, I inputs, H units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.models.architecture import ParallelScan
from drnn_bench.models.layers import CausalHead, RecurrentLayer, RecurrentStack
from drnn_bench.models.streaming import Ring


@dataclass(frozen=True, kw_only=True)
class MinGRU(ParallelScan):
    family: ClassVar[str] = "min_gru"

    def network(self) -> RecurrentStack:
        sizes = (self.input_size, *self.widths)
        layers = [MinGRULayer(sizes[i], sizes[i + 1]) for i in range(self.depth)]
        return RecurrentStack(layers, CausalHead(sizes[-1], self.output_size))


class MinGRULayer(RecurrentLayer):
    def __init__(self, input_size: int, width: int):
        nn.Module.__init__(self)
        self.cell, self.dilation, self.width = "min_gru", 1, width
        self.weight = nn.Parameter(torch.empty(2 * width, input_size))  # z, then h~
        self.bias = nn.Parameter(torch.zeros(2 * width))
        # what reads the state: no gate
        self.register_buffer("w_hh", torch.empty(0, width), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        for part in self.weight.chunk(2):
            nn.init.xavier_uniform_(part)
        # Memories from 1 to 100 steps long, evenly in the exponent: z = 1 / (1 + length).
        self.bias[: self.width] = -torch.linspace(0, math.log(100), self.width)

    @property
    def weights(self) -> kernels.Weights:
        return self.weight, self.w_hh, self.bias

    def step(self, x_TBI: Tensor, ring: Ring) -> Tensor:
        z, candidate = F.linear(x_TBI, self.weight, self.bias).chunk(2, 2)
        z, (h,) = torch.sigmoid(z), ring.back(1)
        h = torch.addcmul((1 - z) * h, z, candidate)
        ring.push((h,))
        return h
