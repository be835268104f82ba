"""The gated recurrent unit (Cho et al. 2014) in torch's form, the reset gate after the product,
with only the input bias trained:

    r, z = sigmoid(W x + b + U h'),  n = tanh(W_n x + b_n + r * (U_n h')),  h = (1 - z) n + z h'

The paper's cell resets h' before the product. Gate order is torch's: r, z, n.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from drnn_bench.cells import inits
from drnn_bench.cells.cell import BESIDE_TORCHS_OWN, Cell, Fused, State, Weights
from drnn_bench.cells.torch_kernels import run


@dataclass(frozen=True)
class GRU(Cell):
    """chrono: the update gate z, which keeps the state in torch's form, begins at log U(1, T-1)."""

    name = "gru"
    summary = "gated recurrent unit, torch's form (Cho et al. 2014)"
    gates = 3
    inits = ("orthogonal", "uniform", "paper", "chrono")
    fused = Fused("gru", gates=4, work=4, pays=BESIDE_TORCHS_OWN)

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        units, bias = self.units(weights), weights[2]
        if init == "paper":
            inits.paper(weights, units)
            bias[: 2 * units] = 1
            return
        super().initialise(weights, init)
        if memory is not None:
            inits.log_memories(bias[units : 2 * units], memory)

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        (h,) = state
        x_r, x_z, x_n = from_x.chunk(3, -1)
        h_r, h_z, h_n = linear(h, weights[1]).chunk(3, -1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        return ((1 - z) * torch.tanh(x_n + r * h_n) + z * h,)

    def scan(self, x_RNI: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
        return run(torch.gru, x_RNI, weights, state)
