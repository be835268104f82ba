"""Minimal LSTM (Feng et al. 2024, arXiv 2410.01201): no output gate, gates that read the input only
and add up to one.

    f = sigmoid(W_f x + b_f),  i = sigmoid(W_i x + b_i),  n = W_n x + b_n
    h = f / (f + i) h' + i / (f + i) n

It is linear in h, so a layer is a parallel scan of log2(T) rounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from drnn_bench.cells import inits
from drnn_bench.cells.cell import Cell, Fused, Weights


@dataclass(frozen=True)
class MinLSTM(Cell):
    """With b_f = -b_i = b, the share i / (f + i) is 1 / (1 + exp(b)): a memory of 1 + exp(b) steps.
    orthogonal: exp(b) is 1 to 100, evenly in the exponent. chrono: b is log U(1, T-1)."""

    name = "min_lstm"
    summary = "normalised gates that do not read the state (Feng et al. 2024)"
    gates = 3
    inits = ("orthogonal", "uniform", "chrono")
    fused = Fused("min_lstm", gates=4, work=3, pays=((math.inf, 0.25, 0.25),))

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        return {"weight": (3 * units, inputs), "bias": (3 * units,)}  # f, i, n

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        super().initialise(weights, init)
        units, bias = self.units(weights), weights[1]
        if init == "uniform":
            return
        if memory is not None:
            inits.log_memories(bias[:units], memory)
        else:
            bias[:units] = torch.linspace(0, math.log(100), units)
        bias[units : 2 * units] = -bias[:units]

    def coefficients(self, from_x: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        f, i, n = from_x.chunk(3, -1)
        # f / (f + i) as a sigmoid, because f and i may both round to zero.
        odds = logsigmoid(f) - logsigmoid(i)
        return torch.sigmoid(odds), torch.sigmoid(-odds) * n

    def fused_weights(self, weights: Weights) -> Weights:
        """The fused kernels take the number of units from the weights of the state: [0, H]."""
        weight, bias = weights
        return weight, weight.new_empty(0, self.units(weights)), bias
