"""Minimal GRU (Feng et al. 2024, arXiv 2410.01201): a GRU whose gates read only the input.

    z_t = sigmoid(W_z x_t + b_z),  h~_t = W_h x_t + b_h,  h_t = (1 - z_t) h_{t-1} + z_t h~_t

It is linear in h, so a layer can be a parallel scan of log2(T) rounds. The scan runs in linear
space: at T = 784 in float32 its error is 4e-7, that of the paper's log-space form 1e-4. On a CPU,
where each round would be a pass over memory, the steps are walked in order (kernels/min_gru.py);
`sequential_steps` counts the rounds of the scan.

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
from drnn_bench.models.cost import stack_macs, stack_state
from drnn_bench.models.layers import CausalHead, CellLayer, RecurrentStack
from drnn_bench.models.streaming import Ring


@dataclass(frozen=True, kw_only=True)
class MinGRU(ParallelScan):
    family: ClassVar[str] = "min_gru"

    @property
    def macs_per_step(self) -> int:
        """The gates' products with the state are not products with weights, so none are counted."""
        return stack_macs(self, gates=2, edges=0)

    @property
    def state_bytes(self) -> int:
        return stack_state(self, 1, (1,) * self.depth)

    def network(self) -> RecurrentStack:
        sizes = (self.input_size, *self.widths)
        layers = [MinGRULayer(sizes[i], sizes[i + 1]) for i in range(self.depth)]
        return RecurrentStack(layers, CausalHead(sizes[-1], self.output_size))


class MinGRULayer(CellLayer):
    w_hh: Tensor

    def __init__(self, input_size: int, width: int):
        super().__init__("min_gru", width)
        self.weight = nn.Parameter(torch.empty(2 * width, input_size))  # z, then h~
        self.bias = nn.Parameter(torch.zeros(2 * width))
        # The weights of the state, which no gate reads: the kernels take their shape from it.
        self.register_buffer("w_hh", torch.empty(0, width), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        for part in self.weight.chunk(2):
            nn.init.xavier_uniform_(part)
        # The units' memories are 1 to 100 steps long, evenly in the exponent: z = 1 / (1 + length).
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
