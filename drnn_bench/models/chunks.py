"""What the linear state spaces share: a model that computes a sequence in chunks of Q steps.

A layer computes all chunks at once, nearly all of it as products of matrices, and carries its
states from chunk to chunk, one after another. The work is linear in T. The same code streams, from
a state that is given.

Legend: B batch, T steps, I inputs, H channels, N states, S their real and imaginary parts (2N),
Q steps of a chunk, C chunks; K blocks of L sequences. Layers work on [H, Q, C, B], so that products
need no copies. Where the fused kernels run, a sequence from zeros goes through in blocks
[K, T, H, L], and nothing is cut into chunks here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.models.layers import CausalHead, Layer, SequenceModel, affine

Parts = tuple[Tensor, Tensor]  # see `parts`


class ChunkedLayer(Layer):
    """A residual layer of a `ChunkedModel`."""

    # Steps from which its fused kernel is faster: of fewer, products of one or two chunks are.
    fused_steps: int

    def forward(
        self,
        u_HQCB: Tensor,
        steps: int,
        state: Any = None,
        streams: bool = False,
        only_last: bool = False,
    ) -> tuple[Tensor, Any]:
        """The outputs [H, Q, C, B], or with `only_last` that of the last step [H, 1, 1, B]; with
        `streams` the state after the last step, else the state given. `steps`: without those that
        fill the last chunk."""
        raise NotImplementedError

    def in_blocks(self, u_KTHL: Tensor, first: int = 0) -> Tensor:
        """`forward` from zeros over blocks of sequences (`kernels.diagonal`): the outputs of the
        steps from `first` on."""
        raise NotImplementedError

    def step(self, u_H11B: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The output [H, 1, 1, B] of one step, and the state after it."""
        raise NotImplementedError

    def plain_step(self, u_H11B: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """`step` with a state of real numbers (models/plain_step.py)."""
        return self.step(u_H11B, state)

    def plain_state(self, batch: int) -> Tensor:
        """The state of `plain_step` before the first step."""
        raise NotImplementedError


class ChunkedModel(SequenceModel[ChunkedLayer]):
    """A linear layer that brings the inputs to the model's width, layers, and a linear output."""

    dtypes = (torch.float64, torch.float32)  # in fewer bits a memory of 1,000 steps is lost
    chunk: ClassVar[int]  # steps at most
    fused_kernel = kernels.CONVOLUTION  # and those of its layers

    def __init__(
        self, layers: Sequence[ChunkedLayer], input_size: int, width: int, output_size: int
    ):
        super().__init__(layers, CausalHead(width, output_size))
        self.encoder = nn.Linear(input_size, width)
        self.fused_steps = layers[0].fused_steps

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        """Logits (B, T, O). For the last step alone, the top layer answers its last step only."""
        steps = kernels.size(x_BTI.shape[1])
        *below, top = self.layers
        x_KTIL = kernels.in_blocks(x_BTI, list(self.parameters()), least=self.fused_steps)
        if x_KTIL is not None:
            u_KTHL = kernels.pointwise(x_KTIL, self.encoder.weight, self.encoder.bias)
            for layer in below:
                u_KTHL = layer.in_blocks(u_KTHL)
            u_KTHL = top.in_blocks(u_KTHL, steps - (last or steps))
            y_KTOL = kernels.pointwise(u_KTHL, self.head.weight[0], self.head.bias)
            return kernels.out_of_blocks(y_KTOL, len(x_BTI))
        u_HQCB = self._encode(x_BTI)
        for layer in below:
            u_HQCB, _ = layer(u_HQCB, steps)
        u_HQCB, _ = top(u_HQCB, steps, only_last=last == 1)
        return self._decode(u_HQCB, steps)[:, -(last or steps) :]

    def stream(self, x_BTI: Tensor, state: list | None = None) -> tuple[Tensor, list]:
        """Logits (B, T, O) and the states of the layers after them."""
        steps = kernels.size(x_BTI.shape[1])
        u_HQCB = self._encode(x_BTI)
        after = []
        for layer, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            if steps == 1:
                u_HQCB, left = layer.step(u_HQCB, before)
            else:
                u_HQCB, left = layer(u_HQCB, steps, before, streams=True)
            after.append(left)
        return self._decode(u_HQCB, steps), after

    def plain_step(self, x_B1I: Tensor, *states: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See models/plain_step.py: one state a layer."""
        u_H11B, after = self._encode(x_B1I), []
        for layer, state in zip(self.layers, states, strict=True):
            u_H11B, state = layer.plain_step(u_H11B, state)
            after.append(state)
        return self._decode(u_H11B, 1), tuple(after)

    def plain_state(self, batch: int) -> dict[str, Tensor]:
        return {f"layer_{i}": layer.plain_state(batch) for i, layer in enumerate(self.layers, 1)}

    def _encode(self, x_BTI: Tensor) -> Tensor:
        """The first layer's inputs [H, Q, C, B], in chunks of one size. Zeros fill the last chunk;
        no output depends on them."""
        steps = kernels.size(x_BTI.shape[1])
        if kernels.symbolic(steps):  # of what could be a single chunk torch would trace that alone
            size = self.chunk
            chunks = (steps + size - 1) // size + 1
        else:
            chunks = math.ceil(steps / self.chunk)
            size = math.ceil(steps / chunks)
        x_ITB = F.pad(x_BTI.permute(2, 1, 0), (0, 0, 0, chunks * size - steps))
        x_IQCB = x_ITB.unflatten(1, (chunks, size)).transpose(1, 2)
        return affine(self.encoder.weight, x_IQCB, self.encoder.bias)

    def _decode(self, u_HQCB: Tensor, steps: int) -> Tensor:
        """Logits (B, T, O) of all steps, or (B, 1, O) where u holds the last step only."""
        y_OQCB = affine(self.head.weight[0], u_HQCB, self.head.bias)
        return y_OQCB.permute(3, 2, 1, 0).flatten(1, 2)[:, :steps]


def entering(sums_HSX: Tensor, turn: Parts, chunks: int, first_HS1B: Tensor | None) -> Tensor:
    """The states [H, S, C, B] before the chunks, from what each chunk adds (X: C*B) and the state
    before the first one."""
    sums_HSCB = sums_HSX.unflatten(2, (chunks, -1))
    if kernels.symbolic(chunks):
        return _entering_walked(sums_HSCB, turn, first_HS1B)
    sums = sums_HSCB.unbind(2)
    before = [torch.zeros_like(sums[0]) if first_HS1B is None else first_HS1B.squeeze(2)]
    for added in sums[:-1]:
        before.append(turned(before[-1], turn, added))
    return torch.stack(before, 2)


def _entering_walked(sums_HSCB: Tensor, turn: Parts, first_HS1B: Tensor | None) -> Tensor:
    """`entering` of chunks whose number is a symbol."""
    first_HSB = torch.zeros_like(sums_HSCB[:, :, 0]) if first_HS1B is None else first_HS1B[:, :, 0]

    def step(before_HSB: Tensor, added_HSB: Tensor) -> tuple[Tensor, Tensor]:
        return turned(before_HSB, turn, added_HSB), before_HSB.clone()

    _, before_CHSB = kernels.over_steps(step, first_HSB, sums_HSCB.permute(2, 0, 1, 3))
    return before_CHSB.permute(1, 2, 0, 3)


def parts(re_HN: Tensor, im_HN: Tensor) -> Parts:
    """A complex factor [H, N] as two real ones [H, S, 1], for a state and for the same state with
    its real and imaginary parts swapped (see `turned`)."""
    same_HS, swapped_HS = torch.cat([re_HN, re_HN], 1), torch.cat([-im_HN, im_HN], 1)
    return same_HS.unsqueeze(2), swapped_HS.unsqueeze(2)


def turned(state_HSB: Tensor, turn: Parts, added_HSB: Tensor) -> Tensor:
    """turn * state + added, all complex numbers as real and imaginary parts."""
    same, swapped = turn
    added_HSB = torch.addcmul(added_HSB, same, state_HSB)
    return torch.addcmul(added_HSB, swapped, state_HSB.roll(state_HSB.shape[1] // 2, 1))


def toeplitz(kernel_HQ: Tensor) -> Tensor:
    """[H, Q, Q] with K_(i-j) at i, j and zeros above the diagonal. Rows of 2Q numbers, each the
    kernel and then zeros, are laid one after another and cut into rows of 2Q - 1: that moves every
    row one step further than the row before."""
    size = kernel_HQ.shape[1]
    rows = F.pad(kernel_HQ, (0, size)).unsqueeze(1).expand(-1, size, -1).flatten(1)
    rows = rows[:, : size * (2 * size - 1)].unflatten(1, (size, 2 * size - 1))
    return rows[..., :size].transpose(1, 2)
