"""Diagonal state space model S4D (Gu, Gupta, Goel, Re 2022, arXiv 2206.11893).

Each channel has N complex states, s' = A s + u, y = 2 Re(C s) + D u, discretised by zero-order
hold: A_ = exp(dt A), B_ = (A_ - 1) / A, with A = -exp(log_a_re) + i a_im as in S4D-Lin. A layer is
the residual block  u + W gelu(y) + b; a linear layer brings the inputs to the model's width.

A sequence is cut into chunks of Q steps (models/chunks.py). Within a chunk, y is the convolution
with the kernel K_t = 2 Re(C B_ A_^t): one product with its Toeplitz matrix computes it for all
chunks and sequences. The last output alone is computed from the last state. Complex parameters are
stored as pairs of reals: a complex number counts two.

Legend: B batch, T steps, I inputs, H channels, N states, S their real and imaginary parts (2N),
Q steps of a chunk, C chunks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench import kernels
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

CHUNK = 64  # steps at most; as fast as 32 and 96, and T = 64 is one chunk


@dataclass(frozen=True, kw_only=True)
class S4D(Stepwise):
    depth: int = 2
    states: int = 8

    family: ClassVar[str] = "s4d"
    equal_widths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least("states", self.states, 1)
        super().__post_init__()

    def sequential_steps(self, length: int) -> int:
        """Chunks of all layers: a layer computes all steps of its chunks at once, and carries the
        state through ceil(length / CHUNK) chunks, one after another."""
        return self.depth * math.ceil(length / CHUNK)

    @property
    def macs_per_step(self) -> int:
        """A state costs 10: A_ s and C s are complex, B_ u is half so; D u and W follow."""
        width = self.widths[0]
        layer = width * (10 * self.states + 1 + width)
        return width * self.inputs + self.depth * layer + width * self.output_size

    @property
    def state_bytes(self) -> int:
        return FLOAT * self.depth * self.widths[0] * 2 * self.states

    def network(self) -> S4DModel:
        return S4DModel(self)


class S4DModel(ChunkedModel):
    chunk = CHUNK

    def __init__(self, architecture: S4D):
        width = architecture.widths[0]
        layers = [S4DLayer(width, architecture.states) for _ in range(architecture.depth)]
        super().__init__(layers, architecture.input_size, width, architecture.output_size)


class S4DLayer(ChunkedLayer):
    fused_kernel = kernels.DIAGONAL
    fused_steps = 48

    def __init__(self, width: int, states: int):
        super().__init__()
        # The channels' time scales are 1 to 1000 steps, evenly in the exponent.
        self.log_dt = nn.Parameter(torch.linspace(0, -math.log(1000), width))
        self.log_a_re = nn.Parameter(torch.full((width, states), math.log(0.5)))
        self.a_im = nn.Parameter(torch.arange(states).float().repeat(width, 1))
        self.c = nn.Parameter(torch.randn(width, states, 2))
        self.d = nn.Parameter(torch.randn(width))
        if computes(self.c):
            self.a_im.data *= math.pi
            self.c.data *= (2 * states) ** -0.5
        self.mix = nn.Linear(width, width)

    def forward(
        self,
        u_HQCB: Tensor,
        steps: int,
        state: Tensor | None = None,
        streams: bool = False,
        only_last: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `ChunkedLayer.forward`; a state is complex, [H, N, B]."""
        size, chunks = u_HQCB.shape[1:3]
        plain = kernels.observed((u_HQCB,))
        powers, write, read = (self._plain_tables if plain else self._tables)(size)
        before = None
        if state is not None:
            before = torch.cat([state.real, state.imag], 1).unsqueeze(2)
        if chunks > 1:
            before = entering(write @ u_HQCB.flatten(2), _turn(powers[:, :, size]), chunks, before)
        if streams or only_last:
            rest = steps - (chunks - 1) * size
            u_HQB = u_HQCB.squeeze(2) if chunks == 1 else u_HQCB[:, :rest, -1]
            after = write[..., size - rest :] @ u_HQB
            if before is not None:
                after = turned(before[:, :, -1], _turn(powers[:, :, rest]), after)
            if only_last:
                u_HB = u_HQB[:, -1]
                y_HB = (read[..., :1] * after).sum(1) + self.d.unsqueeze(1) * u_HB
                return self._block(u_HB, y_HB)[:, None, None], None
            state = torch.complex(*after.chunk(2, 1))
        kernel = (write[..., -1:] * read[..., :size]).sum(1)
        kernel = kernel + F.pad(self.d.unsqueeze(1), (0, size - 1))
        y = toeplitz(kernel) @ u_HQCB.flatten(2)
        if before is not None:
            y = torch.baddbmm(y, read[..., 1:].transpose(1, 2), before.flatten(2))
        return self._block(u_HQCB.flatten(1), y.flatten(1)).view_as(u_HQCB), state

    def in_blocks(self, u_KTHL: Tensor, first: int = 0) -> Tensor:
        """The kernel's states are those of the equation divided by B_: C B_ reads them."""
        log_a, b, c = self._discrete()
        a_HN2, w_HN2 = (torch.view_as_real(t.squeeze(2)) for t in (log_a.exp(), 2 * c * b))
        mix_HM = torch.cat([self.mix.weight, self.mix.bias.unsqueeze(1)], 1)
        return kernels.s4d_layer(u_KTHL, a_HN2, w_HN2, self.d, mix_HM, first)

    def step(self, u_H11B: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """The output [H, 1, 1, B] of one step, and the state after it [H, N, B]."""
        u_HB = u_H11B[:, 0, 0]
        log_a, b, c = self._discrete()
        added = b * u_HB.unsqueeze(1)
        state = added if state is None else torch.addcmul(added, log_a.exp(), state)
        y_HB = 2 * (c * state).sum(1).real + self.d.unsqueeze(1) * u_HB
        return self._block(u_HB, y_HB)[:, None, None], state

    def _discrete(self) -> tuple[Tensor, Tensor, Tensor]:
        """log A_, B_ and C, complex [H, N, 1]."""
        a = torch.complex(-self.log_a_re.exp(), self.a_im)
        log_a = a * self.log_dt.exp().unsqueeze(1)
        b, c = torch.expm1(log_a) / a, torch.complex(self.c[..., 0], self.c[..., 1])
        return log_a.unsqueeze(2), b.unsqueeze(2), c.unsqueeze(2)

    def _tables(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """A_^t for t = 0..Q, its real and imaginary parts [H, N, Q+1, 2]; the weight of each step's
        input in the state after the chunk, [H, S, Q]; the weight of a state in the outputs 0..Q
        steps later, [H, S, Q+1]."""
        log_a, b, c = self._discrete()
        times = torch.arange(size + 1, device=b.device)
        powers = torch.polar((log_a.real * times).exp(), log_a.imag * times)
        write, read = b * powers[..., :size].flip(2), 2 * c * powers
        return (
            torch.view_as_real(powers),
            torch.cat([write.real, write.imag], 1),
            torch.cat([read.real, -read.imag], 1),
        )

    def _plain_tables(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """The same in real numbers alone: ONNX has no complex ones."""
        a_re, a_im, dt = -self.log_a_re.exp(), self.a_im, self.log_dt.exp().unsqueeze(1)
        log_re, log_im = a_re * dt, a_im * dt
        # exp(log) - 1, without a difference of numbers near 1
        less_re = torch.expm1(log_re) * log_im.cos() - 2 * (log_im / 2).sin().square()
        less_im = log_re.exp() * log_im.sin()
        square = a_re.square() + a_im.square()
        b_re = ((less_re * a_re + less_im * a_im) / square).unsqueeze(2)
        b_im = ((less_im * a_re - less_re * a_im) / square).unsqueeze(2)
        c_re, c_im = 2 * self.c[..., :1], 2 * self.c[..., 1:]
        times = torch.arange(size + 1, device=self.d.device)
        sizes, angles = (log_re.unsqueeze(2) * times).exp(), log_im.unsqueeze(2) * times
        p_re, p_im = sizes * angles.cos(), sizes * angles.sin()
        f_re, f_im = p_re[..., :size].flip(2), p_im[..., :size].flip(2)
        return (
            torch.stack([p_re, p_im], 3),
            torch.cat([b_re * f_re - b_im * f_im, b_re * f_im + b_im * f_re], 1),
            torch.cat([c_re * p_re - c_im * p_im, -(c_re * p_im + c_im * p_re)], 1),
        )

    def plain_step(self, u_H11B: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`step` in real numbers alone; a state is [H, S, B]."""
        u_HB = u_H11B[:, 0, 0]
        powers, write, read = self._plain_tables(1)
        after_HSB = turned(state, _turn(powers[:, :, 1]), write * u_HB.unsqueeze(1))
        y_HB = (read[..., :1] * after_HSB).sum(1) + self.d.unsqueeze(1) * u_HB
        return self._block(u_HB, y_HB)[:, None, None], after_HSB

    def plain_state(self, batch: int) -> Tensor:
        """[H, S, B]"""
        return self.d.new_zeros(len(self.d), 2 * self.a_im.shape[1], batch)

    def _block(self, u_HX: Tensor, y_HX: Tensor) -> Tensor:
        """u + W gelu(y) + b."""
        mixed = torch.addmm(u_HX, self.mix.weight, F.gelu(y_HX))
        return mixed.add_(self.mix.bias.unsqueeze(1))


def _turn(factor_HN2: Tensor) -> Parts:
    return parts(factor_HN2[..., 0], factor_HN2[..., 1])
