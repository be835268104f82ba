"""Independently recurrent neural network (Li et al. 2018, arXiv 1803.04831), eq. 2:

    h = relu(W x + u * h' + b)

Every unit reads its own state alone, through one number u. The paper also keeps |u| below 2^(1/T)
while it trains; here the weights are free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drnn_bench.cells.cell import Cell, Fused, State, Weights


@dataclass(frozen=True)
class IndRNN(Cell):
    """u begins uniform in 0 .. 1, so that units differ in what they remember (section 4.2). chrono:
    in 0 .. 2^(1/T), the paper's bound, with which a state at most doubles over T steps."""

    name = "indrnn"
    summary = "units that read only their own state, through a ReLU (Li et al. 2018)"
    gates = 1
    inits = ("orthogonal", "uniform", "chrono")
    fused = Fused("indrnn", gates=0, work=2, pays=((math.inf, 0.25, 0.25),))

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        return {"w_ih": (units, inputs), "u": (units,), "bias": (units,)}

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        super().initialise(weights, init)
        if init != "uniform":
            most = 1.0 if memory is None else 2 ** (1 / max(1.0, memory))
            nn.init.uniform_(weights[1], 0, most)

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        return (torch.addcmul(from_x, weights[1], state[0]).relu(),)

    def fused_weights(self, weights: Weights) -> Weights:
        """The fused kernels take the number of units from the weights of the state, [0, H], and u
        behind the biases."""
        w_ih, u, bias = weights
        return w_ih, w_ih.new_empty(0, len(u)), torch.cat([bias, u])
