"""Long short-term memory (Hochreiter and Schmidhuber 1997) in torch's form, without peepholes:

    i, f, o = sigmoid(W x + U h' + b),  g = tanh(W_g x + U_g h' + b_g)
    c = f c' + i g,  h = o tanh(c)

Gate order is torch's: i, f, g, o.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from drnn_bench.cells import inits
from drnn_bench.cells.cell import Cell, Fused, State, Weights
from drnn_bench.cells.torch_kernels import run


@dataclass(frozen=True)
class LSTM(Cell):
    """orthogonal: the gates have a bias of 1, and the candidate twice the weights of the inputs:
    with an input gate and an output gate of one half, every layer of a deep stack would quarter the
    signal. The candidate has half the weights of the states: a step then multiplies a gradient by
    f + o i / 2 = 0.73 + 0.27 at most. With all of them it is 0.73 + 0.53, and a gradient over 784
    pixels has a norm of 10^22. chrono: forget log U(1, T-1), input minus that; nothing is halved,
    because f + o (1 - f) is below 1."""

    name = "lstm"
    summary = "long short-term memory, no peepholes (Hochreiter and Schmidhuber 1997)"
    gates = 4
    states = 2
    inits = ("orthogonal", "uniform", "paper", "chrono")
    # Of torch's kernels, this is the fastest.
    fused = Fused(
        "lstm", gates=4, work=4,
        pays=(
            (8, 0.25, 0.25), (24, 0.5, 0.5), (64, 0.5, 0.8), (128, 0.6, 0.95), (192, 0.75, 0.95),
            (math.inf, 0.95, 0.95),
        ),
    )  # fmt: skip

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        (w_ih, w_hh, bias), units = weights, self.units(weights)
        forget = bias[units : 2 * units]
        if init == "paper":
            inits.paper(weights, units)
            forget[:] = 1
            return
        super().initialise(weights, init)
        if init == "uniform":
            return
        w_ih[2 * units : 3 * units] *= 2
        bias[:] = 1
        bias[2 * units : 3 * units] = 0
        if memory is None:
            w_hh[2 * units : 3 * units] /= 2
        else:
            inits.log_memories(forget, memory)
            bias[:units] = -forget

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        h, c = state
        i, f, g, o = (from_x + linear(h, weights[1])).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def scan(self, x_RNI: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
        return run(torch.lstm, x_RNI, weights, state)
