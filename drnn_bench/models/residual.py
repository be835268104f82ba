"""What selective state spaces and gated linear attention share: a stack of residual blocks behind
root mean square norms, between a linear layer that brings the inputs to the model's width and a
linear output.

Legend: B batch, T steps, L of them the last ones, I inputs, O outputs, H channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from drnn_bench import kernels
from drnn_bench.kernels.rms import rms  # of a gain, the matrix behind it has the use
from drnn_bench.models.layers import CausalHead, SequenceModel


class ResidualBlock(nn.Module):
    def forward(
        self, u_TBH: Tensor, state: Any = None, last: int | None = None
    ) -> tuple[Tensor, Any]:
        """The outputs [L, B, H] of the last `last` steps (None: of all), and the state after the
        last step. `state`: that before the first step; None: zeros."""
        raise NotImplementedError


class ResidualModel(SequenceModel[Any]):
    dtypes = (torch.float64, torch.float32)  # in fewer bits a memory of 1,000 steps is lost

    def __init__(
        self, blocks: Sequence[ResidualBlock], input_size: int, width: int, output_size: int
    ):
        super().__init__(blocks, CausalHead(width, output_size))
        self.encoder = nn.Linear(input_size, width)

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        """Logits (B, T, O). The top block answers its last steps only."""
        steps = kernels.size(x_BTI.shape[1])
        *below, top = self.layers
        u_TBH = self.encoder(x_BTI.transpose(0, 1))
        for block in below:
            u_TBH, _ = block(u_TBH)
        u_LBH, _ = top(u_TBH, last=None if kernels.symbolic(steps) else last)
        return self._answer(u_LBH, last or steps)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, list]:
        """Logits (B, T, O) of the next steps, and the states of the blocks after them."""
        u_TBH, after = self.encoder(x_BTI.transpose(0, 1)), []
        for block, before in zip(self.layers, state or [None] * len(self.layers), strict=True):
            u_TBH, left = block(u_TBH, before)
            after.append(left)
        return self._answer(u_TBH, kernels.size(x_BTI.shape[1])), after

    def _answer(self, u_TBH: Tensor, last: int) -> Tensor:
        return self.head(rms(u_TBH), last).transpose(0, 1)


def uniform(*shape: int, reads: int | None = None) -> nn.Parameter:
    """A weight as those of nn.Linear and nn.Conv1d begin: uniform between +- 1 / sqrt(what an
    output reads), which is the last axis where it is not given."""
    bound = (reads or shape[-1]) ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
