"""Minimal GRU (Feng et al. 2024, arXiv 2410.01201): a GRU whose gates read only the input.

    z = sigmoid(W_z x + b_z),  n = W_n x + b_n,  h = (1 - z) h' + z n

It is linear in h, so a layer can be a parallel scan of log2(T) rounds. The scan runs in linear
space: at T = 784 in float32 its error is 4e-7, that of the paper's log-space form 1e-4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drnn_bench.cells import inits
from drnn_bench.cells.cell import Cell, Fused, State, Weights


@dataclass(frozen=True)
class MinGRU(Cell):
    """orthogonal: the units' memories are 1 to 100 steps long, evenly in the exponent: z is
    1 / (1 + length). chrono: log U(1, T-1) in place of the exponents."""

    name = "min_gru"
    summary = "gates that do not read the state, linear in it (Feng et al. 2024)"
    gates = 2
    inits = ("orthogonal", "uniform", "chrono")
    fused = Fused("min_gru", gates=2, work=2, pays=((math.inf, 0.25, 0.25),))

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        return {"weight": (2 * units, inputs), "bias": (2 * units,)}  # z, then n

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        super().initialise(weights, init)
        units, bias = self.units(weights), weights[1]
        if memory is not None:
            inits.log_memories(bias[:units], memory)
            bias[:units] *= -1
        elif init == "orthogonal":
            bias[:units] = -torch.linspace(0, math.log(100), units)

    def coefficients(self, from_x: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        z, n = from_x.chunk(2, -1)
        z = torch.sigmoid(z)
        return 1 - z, z * n

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        z, n = from_x.chunk(2, -1)
        z = torch.sigmoid(z)
        return (torch.addcmul((1 - z) * state[0], z, n),)

    def fused_weights(self, weights: Weights) -> Weights:
        """The fused kernels take the number of units from the weights of the state: [0, H]."""
        weight, bias = weights
        return weight, weight.new_empty(0, self.units(weights)), bias
