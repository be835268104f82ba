"""Selective state space model: Mamba's block with S6 (Gu and Dao 2023, arXiv 2312.00752, sections
3.2 to 3.4 and algorithm 2).

A block is the residual  u + W_out (y * silu(z)), where x and z are the halves of W_in norm(u), x is
convolved over K steps, and, with r, B and C read from x,

    x = silu(conv(x)),   dt = softplus(W_dt r + b),   h_t = exp(dt_t A) h_(t-1) + dt_t x_t B_t,
    y_t = C_t h_t + D x_t,   A = -exp(a_log)

Each of E channels has N real states. How fast they forget, what they write and what is read from
them depend on the input: that is the selection. At the start A is -1 .. -N in every channel, and dt
is log-uniform from 0.001 to 0.1. The norm is root mean square, without a gain.

Legend: B batch, T steps, L of them that are answered, I inputs, H channels of the model, E channels
inside a block, N states a channel, K taps of the convolution, R numbers from which dt is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.kernels import SELECTIVE, depthwise_conv, size
from drnn_bench.kernels.rms import rms
from drnn_bench.kernels.selective import selective_scan
from drnn_bench.models.architecture import Paths, Stepwise, at_least
from drnn_bench.models.cost import FLOAT
from drnn_bench.models.layers import computes
from drnn_bench.models.residual import ResidualBlock, ResidualModel, uniform

DT = (0.001, 0.1)  # between which dt begins
State = tuple[Tensor, Tensor]  # the inputs of the older taps [K-1, B, E], the states [N, B, E]


@dataclass(frozen=True, kw_only=True)
class SelectiveSSM(Stepwise):
    """states: real states for each channel inside a block
    expand: channels inside a block for each channel of the model
    kernel: taps of the convolution in front of the states."""

    depth: int = 2
    states: int = 8
    expand: int = 2
    kernel: int = 4

    family: ClassVar[str] = "selective_ssm"
    equal_widths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least("states", self.states, 1)
        at_least("expand", self.expand, 1)
        at_least("kernel", self.kernel, 2)
        super().__post_init__()

    @property
    def inner(self) -> int:
        """Channels inside a block."""
        return self.expand * self.widths[0]

    @property
    def rank(self) -> int:
        """Numbers from which a block makes dt."""
        return math.ceil(self.widths[0] / 16)

    @property
    def longest_span(self) -> int:
        return self.kernel - 1

    @property
    def paths(self) -> Paths:
        """A block is one edge, to any step of its convolution's taps."""
        return Paths(self.depth, spans=(1,), windows=(range(self.kernel),) * self.depth)

    @property
    def macs_per_step(self) -> int:
        """The matrices, the taps, dt A, D x, and two for each state: what a step writes to it, and
        what it reads."""
        width, inner, rank = self.widths[0], self.inner, self.rank
        matrices = inner * (3 * width + 2 * rank + 2 * self.states)
        layer = matrices + inner * (self.kernel + 1 + 3 * self.states)
        return width * self.inputs + self.depth * layer + width * self.output_size

    @property
    def state_bytes(self) -> int:
        return FLOAT * self.depth * self.inner * (self.states + self.kernel - 1)

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The oldest tap stays within the sequence."""
        return {"kernel": length}

    def network(self) -> ResidualModel:
        blocks = [SelectiveBlock(self) for _ in range(self.depth)]
        return ResidualModel(blocks, self.input_size, self.widths[0], self.output_size)


class SelectiveBlock(ResidualBlock):
    fused_kernel = SELECTIVE

    def __init__(self, net: SelectiveSSM):
        super().__init__()
        width, inner, rank, states = net.widths[0], net.inner, net.rank, net.states
        self.in_weight = uniform(2 * inner, width)
        self.conv_weight = uniform(inner, net.kernel)
        self.conv_bias = uniform(inner, reads=net.kernel)
        self.x_weight = uniform(rank + 2 * states, inner)
        self.dt_weight = uniform(inner, rank)
        self.dt_bias = nn.Parameter(torch.rand(inner))
        self.a_log = nn.Parameter(torch.arange(1, states + 1).float().repeat(inner, 1))
        self.d = nn.Parameter(torch.ones(inner))
        self.out_weight = uniform(width, inner)
        if computes(self.a_log):
            low, high = map(math.log, DT)
            dt_E = (low + self.dt_bias.data * (high - low)).exp()
            self.dt_bias.data = dt_E + (-torch.expm1(-dt_E)).log()  # softplus of it is dt
            self.a_log.data = self.a_log.data.log()

    def forward(
        self, u_TBH: Tensor, state: State | None = None, last: int | None = None
    ) -> tuple[Tensor, State]:
        steps, (inner, states) = size(u_TBH.shape[0]), self.a_log.shape
        early, rank = steps - (last or steps), self.dt_weight.shape[1]
        n_TBH = rms(u_TBH)
        x_TBE, tail = self._convolved(
            F.linear(n_TBH, self.in_weight[:inner]), None if state is None else state[0]
        )
        r_TBR, b_TBN = F.linear(x_TBE, self.x_weight[: rank + states]).split([rank, states], 2)
        dt_TBE = F.softplus(F.linear(r_TBR, self.dt_weight, self.dt_bias))
        x_LBE = x_TBE[early:]
        y_LBE, h_NBE = selective_scan(
            dt_TBE, x_TBE, b_TBN, F.linear(x_LBE, self.x_weight[rank + states :]),
            -self.a_log.exp().T, self._zeros(u_TBH) if state is None else state[1],
        )  # fmt: skip
        y_LBE = torch.addcmul(y_LBE, self.d, x_LBE)
        z_LBE = F.linear(n_TBH[early:], self.in_weight[inner:])
        return u_TBH[early:] + F.linear(y_LBE * F.silu(z_LBE), self.out_weight), (tail, h_NBE)

    def _convolved(self, x_TBE: Tensor, tail: Tensor | None) -> tuple[Tensor, Tensor]:
        """silu of the convolution, and the inputs of its older taps after the last step."""
        if tail is None:
            tail = x_TBE.new_zeros(self.conv_weight.shape[1] - 1, *x_TBE.shape[1:])
        seen = torch.cat([tail, x_TBE])
        y_TBE = depthwise_conv(seen, self.conv_weight, self.conv_bias)
        return F.silu(y_TBE), seen[size(x_TBE.shape[0]) :].clone()

    def _zeros(self, u_TBH: Tensor) -> Tensor:
        """The states before the first step."""
        inner, states = self.a_log.shape
        return u_TBH.new_zeros(states, u_TBH.shape[1], inner)
