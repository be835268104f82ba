"""Gated linear attention (Yang et al. 2023, arXiv 2312.06635, sections 4.1 to 4.4).

A layer is  u = u + W_out (norm(o) * silu(W_r n + b_r));  u = u + W2 (silu(W1 n) * (W3 n)), each n
the root mean square norm of u, without a gain. Of each head

    S_t = diag(a_t) S_(t-1) + k_t v_t',   o_t = S_t' q_t

with q, k and v linear in n, q divided by the root of its size, and gates between 0 and 1,

    a_t = sigmoid(W_up W_down n + b) ^ (1/16)

one for each number of a key. W_down is of low rank, so that the gates cost few parameters; the root
lets them begin near 1. The norm of o is over each head. A key has half as many numbers as a value,
rounded up. kernels/gated.py computes o.

Legend: B batch, T steps, L of them that are answered, I inputs, H channels, h heads, d numbers of a
key, e of a value, G rank of the gates, F hidden units of the MLP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.kernels import GATED, gated_attention, size
from drnn_bench.kernels.gated_plain import CHUNK
from drnn_bench.kernels.rms import rms
from drnn_bench.models.architecture import Stepwise, at_least
from drnn_bench.models.cost import FLOAT
from drnn_bench.models.residual import ResidualBlock, ResidualModel, uniform

ROOT = 16  # of the sigmoid that is a gate
RANK = 16  # of the gates at most


@dataclass(frozen=True, kw_only=True)
class GLA(Stepwise):
    """heads: of attention. The values of a head have the least number of numbers, so that all
           together have at least the width: any width will do
    ratio: hidden units of the MLP for each channel."""

    depth: int = 2
    heads: int = 2
    ratio: int = 2

    family: ClassVar[str] = "gla"
    equal_widths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least("heads", self.heads, 1)
        at_least("ratio", self.ratio, 1)
        super().__post_init__()

    @property
    def value_size(self) -> int:
        """Numbers of a head's value."""
        return math.ceil(self.widths[0] / self.heads)

    @property
    def key_size(self) -> int:
        """Numbers of a head's key."""
        return math.ceil(self.value_size / 2)

    @property
    def rank(self) -> int:
        """Numbers from which a layer makes its gates."""
        return min(RANK, self.widths[0])

    def sequential_steps(self, length: int) -> int:
        """Chunks of all layers: the state goes through ceil(length / CHUNK) of them, one after
        another."""
        return self.depth * math.ceil(length / CHUNK)

    @property
    def macs_per_step(self) -> int:
        """Ten matrices, and two for each number of the state: what a step writes to it, and what it
        reads."""
        width = self.widths[0]
        keys, values = self.heads * self.key_size, self.heads * self.value_size
        mix = width * (2 * keys + 3 * values + self.rank) + self.rank * keys
        layer = mix + 2 * keys * self.value_size + 3 * self.ratio * width**2
        return width * self.inputs + self.depth * layer + width * self.output_size

    @property
    def state_bytes(self) -> int:
        return FLOAT * self.depth * self.heads * self.key_size * self.value_size

    def network(self) -> ResidualModel:
        layers = [GLALayer(self) for _ in range(self.depth)]
        return ResidualModel(layers, self.input_size, self.widths[0], self.output_size)


class GLALayer(ResidualBlock):
    """A state is [B, h, d, e]."""

    fused_kernel = GATED

    def __init__(self, net: GLA):
        super().__init__()
        width, hidden, self.heads = net.widths[0], net.ratio * net.widths[0], net.heads
        keys, values = net.heads * net.key_size, net.heads * net.value_size
        self.q_weight, self.k_weight = uniform(keys, width), uniform(keys, width)
        self.v_weight = uniform(values, width)
        self.down_weight, self.up_weight = uniform(net.rank, width), uniform(keys, net.rank)
        self.gate_bias = nn.Parameter(torch.zeros(keys))
        self.r_weight, self.r_bias = uniform(values, width), nn.Parameter(torch.zeros(values))
        self.out_weight = uniform(width, values)
        self.w1_weight, self.w3_weight = uniform(hidden, width), uniform(hidden, width)
        self.w2_weight = uniform(width, hidden)

    def forward(
        self, u_TBH: Tensor, state: Tensor | None = None, last: int | None = None
    ) -> tuple[Tensor, Tensor]:
        n_TBH, steps = rms(u_TBH), size(u_TBH.shape[0])
        early = steps - (last or steps)
        k_TBhd, v_TBhe, log_a_TBhd = (
            x.unflatten(2, (self.heads, -1)) for x in self._writing(n_TBH)
        )  # fmt: skip
        if state is None:
            state = k_TBhd.new_zeros(*k_TBhd.shape[1:], v_TBhe.shape[3])
        u_LBH, n_LBH = u_TBH[early:], n_TBH[early:]
        q_LBhd = F.linear(n_LBH, self.q_weight).unflatten(2, (self.heads, -1))
        q_LBhd = q_LBhd * q_LBhd.shape[3] ** -0.5
        o_LBhe, state = gated_attention(q_LBhd, k_TBhd, v_TBhe, log_a_TBhd, state)
        gate = F.silu(F.linear(n_LBH, self.r_weight, self.r_bias))
        u_LBH = u_LBH + F.linear(rms(o_LBhe).flatten(2) * gate, self.out_weight)
        return u_LBH + self._mlp(rms(u_LBH)), state

    def _writing(self, n_TBH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, values, and the logarithms of the gates, of all heads side by side."""
        read = F.linear(F.linear(n_TBH, self.down_weight), self.up_weight, self.gate_bias)
        k, v = F.linear(n_TBH, self.k_weight), F.linear(n_TBH, self.v_weight)
        return k, v, F.logsigmoid(read) / ROOT

    def _mlp(self, n_LBH: Tensor) -> Tensor:
        hidden = F.silu(F.linear(n_LBH, self.w1_weight)) * F.linear(n_LBH, self.w3_weight)
        return F.linear(hidden, self.w2_weight)
