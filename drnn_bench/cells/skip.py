"""The skip cell (Zhang et al. 2016; Chang et al. 2017, eq. 2): a tanh cell with a second edge.

    h_t = tanh(W x_t + U h_{t-1} + V h_{t-s} + b)

It belongs to the skip RNN alone and has no name in `names`: to a dilated layer it would bring back
the edge that dilation removes.

Legend: T steps, B batch, I inputs, H units, s skip.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from drnn_bench.cells.cell import Cell, Fused, State, Weights
from drnn_bench.cells.rnn import RNN


@dataclass(frozen=True)
class Skip(Cell):
    name = "skip"
    summary = "a tanh layer with a second edge, s steps back"
    gates = 1
    inits = ("orthogonal",)
    fused = Fused("rnn", gates=0, work=1)
    reads_last = True

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        square = (units, units)
        return {"w_ih": (units, inputs), "w_hh": square, "w_skip": square, "bias": (units,)}

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        w_ih, w_hh, w_skip, bias = weights
        nn.init.xavier_uniform_(w_ih)
        for weight in (w_hh, w_skip):
            nn.init.orthogonal_(weight, gain=2**-0.5)  # their sum keeps the state's size
        nn.init.zeros_(bias)

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        (of_skip, of_last), (_, w_hh, w_skip, _) = state, weights
        return (torch.tanh(from_x + linear(of_skip, w_skip) + linear(of_last, w_hh)),)

    def as_rnn(self, weights: Weights) -> Weights:
        """The weights of an rnn that reads h_{t-s} as further inputs."""
        w_ih, w_hh, w_skip, bias = weights
        return torch.cat([w_ih, w_skip], 1), w_hh, bias

    def in_blocks(self, x_TBI: Tensor, weights: Weights, past_sBH: Tensor) -> tuple[Tensor, State]:
        """In blocks of s steps: within a block every h_{t-s} is known before it begins, so the
        block is a plain recurrence with h_{t-s} as further inputs."""
        of_rnn, outputs = self.as_rnn(weights), []
        for block in x_TBI.split(len(past_sBH)):
            x = torch.cat([block, past_sBH[: len(block)]], 2)
            y, _ = RNN().scan(x, of_rnn, (past_sBH[-1],))
            past_sBH = torch.cat([past_sBH[len(y) :], y])
            outputs.append(y)
        return torch.cat(outputs), (past_sBH,)

    def fused_weights(self, weights: Weights) -> Weights:
        """To the fused kernel, the edge from t-s is the recurrent edge of an rnn, and the edge from
        t-1 a fourth weight."""
        w_ih, w_hh, w_skip, bias = weights
        return w_ih, w_skip, bias, w_hh
