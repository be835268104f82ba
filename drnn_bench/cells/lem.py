"""Long Expressive Memory (Rusch et al. 2022, arXiv 2110.04744), eq. 3, with Delta t = 1:

    a = sigmoid(W_1 y' + V_1 x + b_1),  d = sigmoid(W_2 y' + V_2 x + b_2)
    z = (1 - a) z' + a tanh(W_z y' + V_z x + b_z)
    y = (1 - d) y' + d tanh(W_y z + V_y x + b_y)

y is the output. Its candidate reads the new z, so a step is two halves, one after the other. Gate
order: a, d, z, y.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from drnn_bench.cells import inits
from drnn_bench.cells.cell import Cell, Fused, State, Weights


@dataclass(frozen=True)
class LEM(Cell):
    """uniform is the official code's. chrono is not the paper's: both time steps begin at
    1 / (1 + U(1, T-1))."""

    name = "lem"
    summary = "long expressive memory, two learned time steps (Rusch et al. 2022)"
    gates = 4
    states = 2
    inits = ("orthogonal", "uniform", "chrono")
    fused = Fused("lem", gates=4, work=4)

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        return {
            "w_ih": (4 * units, inputs),
            "w_y": (3 * units, units),  # of the old y, for a, d, z
            "w_z": (units, units),  # of the new z, for y
            "bias": (4 * units,),
        }

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        super().initialise(weights, init)
        if memory is not None:
            time_steps = weights[3][: 2 * self.units(weights)]
            inits.log_memories(time_steps, memory)
            time_steps *= -1

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        (y, z), (_, w_y, w_z, _) = state, weights
        units = z.shape[-1]
        sums = from_x[..., : 3 * units] + linear(y, w_y)
        a, d = torch.sigmoid(sums[..., : 2 * units]).chunk(2, -1)
        z = torch.lerp(z, torch.tanh(sums[..., 2 * units :]), a)
        y = torch.lerp(y, torch.tanh(from_x[..., 3 * units :] + linear(z, w_z)), d)
        return y, z

    def fused_weights(self, weights: Weights) -> Weights:
        w_ih, w_y, w_z, bias = weights
        return w_ih, w_y, bias, w_z
