"""The tanh cell (Elman 1990): h = tanh(W x + U h' + b)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from drnn_bench.cells import inits
from drnn_bench.cells.cell import BESIDE_TORCHS_OWN, Cell, Fused, State, Weights
from drnn_bench.cells.torch_kernels import run


@dataclass(frozen=True)
class RNN(Cell):
    name = "rnn"
    summary = "a tanh layer (Elman 1990)"
    gates = 1
    inits = ("orthogonal", "uniform", "paper", "identity")
    fused = Fused("rnn", gates=0, work=1, pays=BESIDE_TORCHS_OWN)

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        if init == "paper":
            inits.paper(weights, self.units(weights))
            return
        super().initialise(weights, init)
        if init == "identity":
            nn.init.eye_(weights[1])

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        return (torch.tanh(from_x + linear(state[0], weights[1])),)

    def scan(self, x_RNI: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
        return run(torch.rnn_tanh, x_RNI, weights, state)
