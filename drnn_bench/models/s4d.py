"""Diagonal state space model S4D (Gu, Gupta, Goel, Re 2022, arXiv 2206.11893).

Each channel has N complex states, s' = A s + u, y = 2 Re(C s) + D u, made discrete by zero-order
hold: A_ = exp(dt A), B_ = (A_ - 1) / A, with A = -exp(log_a_re) + i a_im as in S4D-Lin. A layer is
the residual block  u + W gelu(y) + b; a linear layer brings the inputs to the model's width.

Over a sequence y is a convolution with the kernel K_t = 2 Re(C B_ A_^t), done by FFT; step by step
it is the recurrence. Complex parameters are stored as pairs of reals: a complex number counts two.

Legend: B batch, T steps, I inputs, H channels, N states, L layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.models.architecture import ParallelScan, at_least
from drnn_bench.models.layers import CausalHead, SequenceModel


@dataclass(frozen=True, kw_only=True)
class S4D(ParallelScan):
    states: int = 8

    family: ClassVar[str] = "s4d"
    equal_widths: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least("states", self.states, 1)
        super().__post_init__()

    def network(self) -> SequenceModel:
        return S4DModel(self)


class S4DModel(SequenceModel):
    def __init__(self, config: S4D):
        width = config.widths[0]
        layers = [S4DLayer(width, config.states) for _ in range(config.depth)]
        super().__init__(layers, CausalHead(width, config.output_size))
        self.encoder = nn.Linear(config.input_size, width)

    def encode(self, x_TBI: Tensor) -> Tensor:
        return self.encoder(x_TBI)


class S4DLayer(nn.Module):
    dilation = 1

    def __init__(self, width: int, states: int):
        super().__init__()
        # Time scales from 1 to 1000 steps, evenly in the exponent over the channels.
        self.log_dt = nn.Parameter(-torch.linspace(0, math.log(1000), width))
        self.log_a_re = nn.Parameter(torch.full((width, states), math.log(0.5)))
        self.a_im = nn.Parameter(math.pi * torch.arange(states).float().repeat(width, 1))
        self.c = nn.Parameter(torch.randn(width, states, 2) * (2 * states) ** -0.5)
        self.d = nn.Parameter(torch.randn(width))
        self.mix = nn.Linear(width, width)

    def forward(self, u_TBH: Tensor, chains: int) -> Tensor:
        return self._block(u_TBH, self._convolve(u_TBH))

    def stream(self, u_TBH: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """`state` [B, H, N], complex, as every step leaves it."""
        steps, batch, width = u_TBH.shape
        log_a, b, c = self._discrete()
        if state is None:
            state = log_a.new_zeros(batch, width, log_a.shape[1])
        if steps == 1:
            state = torch.exp(log_a) * state + b * u_TBH[0].unsqueeze(-1)
            y = 2 * (c * state).sum(-1).real.unsqueeze(0)
            return self._block(u_TBH, y + self.d * u_TBH), state
        powers = torch.exp(log_a * torch.arange(1, steps + 1, device=u_TBH.device)[:, None, None])
        carried = 2 * torch.einsum("thn,bhn->tbh", c * powers, state).real
        # State after the chunk: what it was, decayed, and each input as decayed since.
        since = torch.cat([torch.ones_like(powers[:1]), powers[:-1]]).flip(0)
        new = torch.einsum("thn,tbh->bhn", b * since, u_TBH.to(powers.dtype))
        return self._block(u_TBH, self._convolve(u_TBH) + carried), powers[-1] * state + new

    def _discrete(self) -> tuple[Tensor, Tensor, Tensor]:
        """log A_, B_ and C, complex [H, N]."""
        a = torch.complex(-self.log_a_re.exp(), self.a_im)
        log_a = a * self.log_dt.exp().unsqueeze(1)
        return log_a, torch.expm1(log_a) / a, torch.view_as_complex(self.c)

    def _convolve(self, u_TBH: Tensor) -> Tensor:
        steps = len(u_TBH)
        log_a, b, c = self._discrete()
        times = torch.arange(steps, device=u_TBH.device)[:, None, None]
        kernel_TH = 2 * (c * b * torch.exp(log_a * times)).sum(-1).real
        size = 2 * steps
        spectrum = (
            torch.fft.rfft(u_TBH, size, dim=0) * torch.fft.rfft(kernel_TH, size, dim=0)[:, None]
        )
        return torch.fft.irfft(spectrum, size, dim=0)[:steps] + self.d * u_TBH

    def _block(self, u_TBH: Tensor, y_TBH: Tensor) -> Tensor:
        return u_TBH + self.mix(F.gelu(y_TBH))
