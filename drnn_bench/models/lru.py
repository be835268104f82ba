"""Linear Recurrent Unit (Orvieto et al. 2023, arXiv 2303.06349).

    x_t = lambda * x_{t-1} + gamma * (B u_t),   y_t = Re(C x_t) + D * u_t

with N complex states, lambda = exp(-exp(nu) + i exp(theta)), so that |lambda| < 1 whatever the
parameters are. At the start lambda is uniform on the ring from r_min to r_max, its phase uniform
from 0 to max_phase (its lemma 3.2), and gamma = sqrt(1 - |lambda|^2), so that white noise keeps its
norm. gamma is trained in the exponent, as nu and theta are.

A layer is the residual block of the paper's figure 1, u + GLU(gelu(LRU(norm(u)))); a linear layer
brings the inputs to the model's width. The norm is over the channels of one step: the paper's batch
norm would let a step see the others of its batch. Complex parameters are stored as pairs of reals:
a complex number counts two.

As lambda is the same at all steps, a sequence is cut into chunks of Q steps (models/chunks.py): one
product with the powers of lambda computes the states of all chunks, from zeros, and what enters a
chunk is then added to its steps. A scan of log2(T) rounds would pass over memory in each.

Legend: B batch, I inputs, H channels, N complex states, 2 real and imaginary parts, Q steps of a
chunk, C chunks, X all of some axes in one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Stepwise, at_least
from drnn_bench.models.chunks import (
    ChunkedLayer,
    ChunkedModel,
    Parts,
    entering,
    parts,
    toeplitz,
    turned,
)
from drnn_bench.models.cost import FLOAT
from drnn_bench.models.layers import computes

CHUNK = 32  # steps at most
TINY = 1e-6  # keeps the logarithms at the start finite where a radius is 0 or 1


@dataclass(frozen=True, kw_only=True)
class LRU(Stepwise):
    """states: complex states for each channel: a layer has states * width of them
    r_min, r_max: the radii between which lambda begins
    max_phase: the largest phase with which it begins, in radians."""

    depth: int = 2
    states: int = 1
    r_min: float = 0.9
    r_max: float = 0.999
    max_phase: float = 2 * math.pi

    family: ClassVar[str] = "lru"
    equal_widths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least("states", self.states, 1)
        if not 0 <= self.r_min < self.r_max <= 1:
            raise UserError(
                f"0 <= r_min < r_max <= 1 is needed, got r_min={self.r_min!r} r_max={self.r_max!r}"
            )
        if not 0 < self.max_phase <= 2 * math.pi:
            raise UserError(
                f"max_phase must be above 0 and at most 2 pi, 6.283, got {self.max_phase!r}"
            )
        super().__post_init__()

    def sequential_steps(self, length: int) -> int:
        """Chunks of all layers: the state goes through ceil(length / CHUNK) of them, one after
        another."""
        return self.depth * math.ceil(length / CHUNK)

    @property
    def macs_per_step(self) -> int:
        """A state costs 4, and 2 for each channel that it reads and that reads it; D u and the GLU
        follow."""
        width = self.widths[0]
        layer = width * (self.states * (4 + 4 * width) + 1 + 2 * width)
        return width * self.inputs + self.depth * layer + width * self.output_size

    @property
    def state_bytes(self) -> int:
        return FLOAT * self.depth * 2 * self.states * self.widths[0]

    def network(self) -> LRUModel:
        return LRUModel(self)


class LRUModel(ChunkedModel):
    chunk = CHUNK

    def __init__(self, net: LRU):
        layers = [LRULayer(net) for _ in range(net.depth)]
        super().__init__(layers, net.input_size, net.widths[0], net.output_size)


class LRULayer(ChunkedLayer):
    """A state is real, [N, 2, B]."""

    fused_kernel = kernels.DIAGONAL
    fused_steps = 16

    def __init__(self, net: LRU):
        super().__init__()
        width = net.widths[0]
        states = net.states * width
        self.log_nu = nn.Parameter(torch.rand(states))
        self.log_theta = nn.Parameter(torch.rand(states))
        self.log_gamma = nn.Parameter(torch.empty(states))
        self.b = nn.Parameter(torch.randn(states, 2, width))
        self.c = nn.Parameter(torch.randn(width, states, 2))
        self.d = nn.Parameter(torch.randn(width))
        self.mix = nn.Linear(width, 2 * width)
        if computes(self.b):
            self._initialise(net)

    def _initialise(self, net: LRU) -> None:
        """Spreads the eigenvalues over the ring, evenly by area, from the random numbers that the
        weights have so far, and scales the others."""
        states, width = self.b.shape[0], self.b.shape[2]
        square_N = net.r_min**2 + self.log_nu.data * (net.r_max**2 - net.r_min**2)
        square_N = square_N.clamp(TINY, 1 - TINY)
        phase_N = (self.log_theta.data * net.max_phase).clamp(min=TINY)
        self.log_nu.data = (-0.5 * square_N.log()).log()
        self.log_theta.data = phase_N.log()
        self.log_gamma.data = 0.5 * (1 - square_N).log()
        self.b.data *= (2 * width) ** -0.5
        self.c.data *= states**-0.5

    def forward(
        self,
        u_HQCB: Tensor,
        steps: int,
        state: Tensor | None = None,
        streams: bool = False,
        only_last: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        size, chunks = u_HQCB.shape[1:3]
        powers_N2Q = self._powers(size + 1)
        v_HX = _normed(u_HQCB.flatten(1))
        read_NSX = self._read(v_HX).view(len(powers_N2Q), 2 * size, -1)  # S: 2 * Q
        x_NSX = _matrix(powers_N2Q[..., :size]) @ read_NSX
        if chunks > 1 or state is not None:
            ends_N2X = x_NSX.unflatten(1, (2, size))[:, :, -1]
            first = None if state is None else state.unsqueeze(2)
            before_N2CB = entering(ends_N2X, _turn(powers_N2Q[..., size]), chunks, first)
            x_NSX = torch.baddbmm(x_NSX, _column(powers_N2Q[..., 1:]), before_N2CB.flatten(2))
        if streams or only_last:
            rest = steps - (chunks - 1) * size
            x_N2QCB = x_NSX.view(len(x_NSX), 2, *u_HQCB.shape[1:])
            state = x_N2QCB[:, :, rest - 1, -1]
            if only_last:
                u_HB, v_HB = u_HQCB[:, rest - 1, -1], v_HX.view_as(u_HQCB)[:, rest - 1, -1]
                return self._block(u_HB, v_HB, state)[:, None, None], None
        y_HX = self._block(u_HQCB.flatten(1), v_HX, x_NSX.view(len(x_NSX), 2, -1))
        return y_HX.view_as(u_HQCB), state

    def in_blocks(self, u_KTHL: Tensor, first: int = 0) -> Tensor:
        b_SH = (self.log_gamma.exp()[:, None, None] * self.b).flatten(0, 1)
        mix_PM = torch.cat([self.mix.weight, self.mix.bias.unsqueeze(1)], 1)
        a_N2 = self._powers(2)[..., 1]
        return kernels.lru_layer(u_KTHL, a_N2, b_SH, self._reads(), self.d, mix_PM, first)

    def step(self, u_H11B: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        u_HB = u_H11B[:, 0, 0]
        v_HB = _normed(u_HB)
        read_N2B = self._read(v_HB)
        if state is not None:
            read_N2B = turned(state, _turn(self._powers(2)[..., 1]), read_N2B)
        return self._block(u_HB, v_HB, read_N2B)[:, None, None], read_N2B

    def plain_state(self, batch: int) -> Tensor:
        """[N, 2, B]"""
        return self.d.new_zeros(len(self.b), 2, batch)

    def _powers(self, count: int) -> Tensor:
        """lambda to the powers 0 .. count - 1, [N, 2, count]."""
        power = torch.arange(count, device=self.d.device)
        size_NQ = (-self.log_nu.exp().unsqueeze(1) * power).exp()
        phase_NQ = self.log_theta.exp().unsqueeze(1) * power
        return torch.stack([size_NQ * phase_NQ.cos(), size_NQ * phase_NQ.sin()], 1)

    def _read(self, v_HX: Tensor) -> Tensor:
        """gamma B v, [N, 2, X]."""
        b_N2H = self.log_gamma.exp()[:, None, None] * self.b
        return (b_N2H.flatten(0, 1) @ v_HX).unflatten(0, (-1, 2))

    def _reads(self) -> Tensor:
        """[H, 2N]: of C x the real part, from the states' real and imaginary parts."""
        return torch.stack([self.c[..., 0], -self.c[..., 1]], 2).flatten(1)

    def _block(self, u_HX: Tensor, v_HX: Tensor, x_N2X: Tensor) -> Tensor:
        """u + GLU(gelu(Re(C x) + D v)), v being the normalised u."""
        y_HX = self._reads() @ x_N2X.flatten(0, 1)
        y_HX = torch.addcmul(y_HX, self.d.unsqueeze(1), v_HX)
        mixed = torch.addmm(self.mix.bias.unsqueeze(1), self.mix.weight, F.gelu(y_HX))
        return u_HX + F.glu(mixed, 0)


def _normed(u_HX: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the channels. Of a gain B and D have the use."""
    centred_HX = u_HX - u_HX.mean(0, keepdim=True)
    return centred_HX * (centred_HX.square().mean(0, keepdim=True) + 1e-5).rsqrt()


def _turn(factor_N2: Tensor) -> Parts:
    re_N1, im_N1 = factor_N2.split(1, 1)
    return parts(re_N1, im_N1)


def _matrix(powers_N2Q: Tensor) -> Tensor:
    """[N, 2Q, 2Q]: the states at the steps of a chunk from what is read at its steps."""
    re_NQQ, im_NQQ = (toeplitz(part) for part in powers_N2Q.unbind(1))
    return torch.cat([torch.cat([re_NQQ, -im_NQQ], 2), torch.cat([im_NQQ, re_NQQ], 2)], 1)


def _column(powers_N2Q: Tensor) -> Tensor:
    """[N, 2Q, 2]: the states at the steps of a chunk from the state before it."""
    re_NQ, im_NQ = powers_N2Q.unbind(1)
    return torch.cat([torch.stack([re_NQ, -im_NQ], 2), torch.stack([im_NQ, re_NQ], 2)], 1)
