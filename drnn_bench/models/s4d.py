"""Diagonal state space model S4D (Gu, Gupta, Goel, Re 2022, arXiv 2206.11893).

Each channel has N complex states, s' = A s + u, y = 2 Re(C s) + D u, discretised by zero-order
hold: A_ = exp(dt A), B_ = (A_ - 1) / A, with A = -exp(log_a_re) + i a_im as in S4D-Lin. A layer is
the residual block  u + W gelu(y) + b; a linear layer brings the inputs to the model's width.

A sequence is cut into chunks of Q steps. Within a chunk, y is the convolution with the kernel K_t =
2 Re(C B_ A_^t): one product with its Toeplitz matrix computes it for all chunks and sequences. The
states are then carried from chunk to chunk, one after another. The work is linear in T, and nearly
all of it is matrix products. The same code streams, from a state that is given, and computes the
last output alone, from the last state. Complex parameters are stored as pairs of reals: a complex
number counts two.

Legend: B batch, T steps, I inputs, H channels, N states, S their real and imaginary parts (2N),
Q steps of a chunk, C chunks. Layers work on [H, Q, C, B], so that products need no copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.models.architecture import Stepwise, at_least
from drnn_bench.models.cost import FLOAT
from drnn_bench.models.layers import CausalHead, Layer, SequenceModel, affine

CHUNK = 64  # steps at most; as fast as 32 and 96, and T = 64 is one chunk

Parts = tuple[Tensor, Tensor]  # see `_parts`


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

    def network(self) -> SequenceModel:
        return S4DModel(self)


class S4DModel(SequenceModel["S4DLayer"]):
    dtypes = (torch.float64, torch.float32)  # torch has no smaller complex numbers

    def __init__(self, architecture: S4D):
        width = architecture.widths[0]
        layers = [S4DLayer(width, architecture.states) for _ in range(architecture.depth)]
        super().__init__(layers, CausalHead(width, architecture.output_size))
        self.encoder = nn.Linear(architecture.input_size, width)

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        """Logits (B, T, O). For the last step alone, the top layer computes its last state only."""
        steps = int(x_BTI.shape[1])
        *below, top = self.layers
        u_HQCB = self._encode(x_BTI)
        for layer in below:
            u_HQCB, _ = layer(u_HQCB, steps)
        u_HQCB, _ = top(u_HQCB, steps, only_last=last == 1)
        return self._decode(u_HQCB, steps)[:, -(last or steps) :]

    def stream(self, x_BTI: Tensor, state: list | None = None) -> tuple[Tensor, list]:
        """Logits (B, T, O) and the state after them: per layer [H, N, B], complex."""
        steps = int(x_BTI.shape[1])
        u_HQCB = self._encode(x_BTI)
        after = []
        for layer, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            if steps == 1:
                u_HQCB, left = layer.step(u_HQCB, before)
            else:
                u_HQCB, left = layer(u_HQCB, steps, before, streams=True)
            after.append(left)
        return self._decode(u_HQCB, steps), after

    def _encode(self, x_BTI: Tensor) -> Tensor:
        """The first layer's inputs [H, Q, C, B], in chunks of one size. Zeros fill the last chunk;
        no output depends on them."""
        steps = int(x_BTI.shape[1])
        chunks = math.ceil(steps / CHUNK)
        size = math.ceil(steps / chunks)
        x_ITB = F.pad(x_BTI.permute(2, 1, 0), (0, 0, 0, chunks * size - steps))
        x_IQCB = x_ITB.unflatten(1, (chunks, size)).transpose(1, 2)
        return affine(self.encoder.weight, x_IQCB, self.encoder.bias)

    def _decode(self, u_HQCB: Tensor, steps: int) -> Tensor:
        """Logits (B, T, O) of all steps, or (B, 1, O) where u holds the last step only."""
        y_OQCB = affine(self.head.weight[0], u_HQCB, self.head.bias)
        return y_OQCB.permute(3, 2, 1, 0).flatten(1, 2)[:, :steps]


class S4DLayer(Layer):
    def __init__(self, width: int, states: int):
        super().__init__()
        # The channels' time scales are 1 to 1000 steps, evenly in the exponent.
        self.log_dt = nn.Parameter(-torch.linspace(0, math.log(1000), width))
        self.log_a_re = nn.Parameter(torch.full((width, states), math.log(0.5)))
        self.a_im = nn.Parameter(math.pi * torch.arange(states).float().repeat(width, 1))
        self.c = nn.Parameter(torch.randn(width, states, 2) * (2 * states) ** -0.5)
        self.d = nn.Parameter(torch.randn(width))
        self.mix = nn.Linear(width, width)

    def forward(
        self,
        u_HQCB: Tensor,
        steps: int,
        state: Tensor | None = None,
        streams: bool = False,
        only_last: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The outputs [H, Q, C, B], or with `only_last` that of the last step [H, 1, 1, B]; with
        `streams` the state after the last step, [H, N, B], else the state given. `steps`: without
        those that fill the last chunk."""
        size, chunks = u_HQCB.shape[1:3]
        powers, write, read = self._tables(size)
        before = None
        if state is not None:
            before = torch.cat([state.real, state.imag], 1).unsqueeze(2)
        if chunks > 1:
            before = _entering(write @ u_HQCB.flatten(2), _parts(powers[..., size]), chunks, before)
        if streams or only_last:
            rest = steps - (chunks - 1) * size
            u_HQB = u_HQCB.squeeze(2) if chunks == 1 else u_HQCB[:, :rest, -1]
            after = write[..., size - rest :] @ u_HQB
            if before is not None:
                after = _turned(before[:, :, -1], _parts(powers[..., rest]), after)
            if only_last:
                u_HB = u_HQB[:, -1]
                y_HB = (read[..., :1] * after).sum(1) + self.d.unsqueeze(1) * u_HB
                return self._block(u_HB, y_HB)[:, None, None], None
            state = torch.complex(*after.chunk(2, 1))
        kernel = (write[..., -1:] * read[..., :size]).sum(1)
        kernel = kernel + F.pad(self.d.unsqueeze(1), (0, size - 1))
        y = _toeplitz(kernel) @ u_HQCB.flatten(2)
        if before is not None:
            y = torch.baddbmm(y, read[..., 1:].transpose(1, 2), before.flatten(2))
        return self._block(u_HQCB.flatten(1), y.flatten(1)).view_as(u_HQCB), state

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
        """A_^t for t = 0..Q, complex [H, N, Q+1]; the weight of each step's input in the state
        after the chunk, [H, S, Q]; the weight of a state in the outputs 0..Q steps later, [H, S,
        Q+1]."""
        log_a, b, c = self._discrete()
        times = torch.arange(size + 1, device=b.device)
        powers = torch.polar((log_a.real * times).exp(), log_a.imag * times)
        write, read = b * powers[..., :size].flip(2), 2 * c * powers
        return (
            powers,
            torch.cat([write.real, write.imag], 1),
            torch.cat([read.real, -read.imag], 1),
        )

    def _block(self, u_HX: Tensor, y_HX: Tensor) -> Tensor:
        """u + W gelu(y) + b."""
        mixed = torch.addmm(u_HX, self.mix.weight, F.gelu(y_HX))
        return mixed.add_(self.mix.bias.unsqueeze(1))


def _entering(sums_HSX: Tensor, turn: Parts, chunks: int, first: Tensor | None) -> Tensor:
    """The states [H, S, C, B] before the chunks, from what each chunk adds (X: C*B) and the state
    before the first one."""
    sums = sums_HSX.unflatten(2, (chunks, -1)).unbind(2)
    before = [torch.zeros_like(sums[0]) if first is None else first.squeeze(2)]
    for added in sums[:-1]:
        before.append(_turned(before[-1], turn, added))
    return torch.stack(before, 2)


def _parts(turn_HN: Tensor) -> Parts:
    """A complex factor [H, N] as two real ones [H, S, 1], for a state and for the same state with
    its real and imaginary parts swapped (see `_turned`)."""
    re, im = turn_HN.real, turn_HN.imag
    return torch.cat([re, re], 1).unsqueeze(2), torch.cat([-im, im], 1).unsqueeze(2)


def _turned(state_HSB: Tensor, turn: Parts, added_HSB: Tensor) -> Tensor:
    """turn * state + added, all complex numbers as real and imaginary parts."""
    same, swapped = turn
    added_HSB = torch.addcmul(added_HSB, same, state_HSB)
    return torch.addcmul(added_HSB, swapped, state_HSB.roll(state_HSB.shape[1] // 2, 1))


def _toeplitz(kernel_HQ: Tensor) -> Tensor:
    """[H, Q, Q] with K_(i-j) at i, j and zeros above the diagonal. Rows of 2Q numbers, each the
    kernel and then zeros, are laid one after another and cut into rows of 2Q - 1: that moves every
    row one step further than the row before."""
    size = kernel_HQ.shape[1]
    rows = F.pad(kernel_HQ, (0, size)).unsqueeze(1).expand(-1, size, -1).flatten(1)
    rows = rows[:, : size * (2 * size - 1)].unflatten(1, (size, 2 * size - 1))
    return rows[..., :size].transpose(1, 2)
