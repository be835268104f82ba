"""Parts that families share: a recurrent layer, a causal output layer, a stack of both.

Legend: B batch, T steps, I inputs, H units, O outputs, s dilation, k kernel size.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.models.needed import chains, keep, needed_steps


class RecurrentLayer(nn.Module):
    """c_t = f(x_t, c_{t-s}) for one cell (Chang et al. 2017, eq. 1), one bias per gate.

    rnn  h = tanh(W x + U h' + b)
    gru  torch's form, the reset gate after the product, with only the input bias trained:
         n = tanh(W_n x + b_n + r * (U_n h')). The paper's cell resets h' before the product.
    lstm torch's form, without peepholes.
    Gate order is torch's: (r, z, n) and (i, f, g, o).
    """

    def __init__(self, cell: str, input_size: int, width: int, dilation: int = 1):
        super().__init__()
        rows = kernels.gates(cell) * width
        self.cell, self.dilation, self.width = cell, dilation, width
        self.w_ih = nn.Parameter(torch.empty(rows, input_size))
        self.w_hh = nn.Parameter(torch.empty(rows, width))
        self.bias = nn.Parameter(torch.empty(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        # Glorot inputs and orthogonal recurrences, gate by gate: gradients neither vanish nor
        # blow up along a chain at the start. The LSTM's forget gate starts open.
        for w_ih, w_hh in zip(
            self.w_ih.split(self.width), self.w_hh.split(self.width), strict=True
        ):
            nn.init.xavier_uniform_(w_ih)
            nn.init.orthogonal_(w_hh)
        nn.init.zeros_(self.bias)
        if self.cell == "lstm":
            nn.init.ones_(self.bias[self.width : 2 * self.width])

    def scan(
        self, x_TBI: Tensor, dilation: int | None = None, state: kernels.State | None = None
    ) -> tuple[Tensor, kernels.State]:
        weights = (self.w_ih, self.w_hh, self.bias)
        return kernels.scan(self.cell, x_TBI, weights, dilation or self.dilation, state)


class CausalHead(nn.Module):
    """Output layer: a causal convolution over the top layer, y_t = b + sum_j W_j h_{t-j}.

    Kernel 1 is the usual linear layer. Kernel M^l0 is the paper's final 1-by-M^l0 convolution,
    which gives a net whose first dilation is M^l0 back the spans that it skipped.
    """

    def __init__(self, width: int, output_size: int, kernel: int = 1):
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(kernel, output_size, width))
        self.bias = nn.Parameter(torch.zeros(output_size))
        bound = 1 / math.sqrt(width * kernel)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, h_TBH: Tensor, last: int) -> Tensor:
        """Logits [T, B, O] of the last `last` steps; h may start later than the sequence does
        only by steps that these do not see."""
        missing = last + self.kernel - 1 - len(h_TBH)
        if missing > 0:
            h_TBH = F.pad(h_TBH, (0, 0, 0, 0, missing, 0))
        end = len(h_TBH)
        y = self.bias
        for back, weight in enumerate(self.weight):
            y = y + F.linear(h_TBH[end - back - last : end - back], weight)
        return y


class RecurrentStack(nn.Module):
    """Recurrent layers with dilations, and a causal output layer.

    `model(x_BTI)` gives logits (B, T, O) at any length; `model(x_BTI, last=n)` only those of the
    last n steps, at a fraction of the work (see `needed`).
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        widths: tuple[int, ...],
        dilations: tuple[int, ...],
        output_size: int,
        kernel: int = 1,
    ):
        super().__init__()
        sizes = (input_size, *widths)
        self.dilations = dilations
        self.layers = nn.ModuleList(
            RecurrentLayer(cell, sizes[i], width, dilation)
            for i, (width, dilation) in enumerate(zip(widths, dilations, strict=True))
        )
        self.head = CausalHead(widths[-1], output_size, kernel)

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        h_TBH = x_BTI.transpose(0, 1)
        length = len(h_TBH)
        last = length if last is None else min(last, length)
        seen = min(length, last + self.head.kernel - 1)
        present = None
        for layer, wanted in zip(
            self.layers, needed_steps(self.dilations, length, seen), strict=True
        ):
            h_TBH = keep(h_TBH, present, wanted)
            h_TBH, _ = layer.scan(h_TBH, chains(wanted, layer.dilation) or 1)
            present = wanted
        return self.head(h_TBH, last).transpose(0, 1)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits (B, T, O) of the next T steps of a sequence, and the state to go on with.

        Chunks of any size give what one pass over the whole sequence gives.
        """
        h_TBH = x_BTI.transpose(0, 1)
        layers, tail = state or ([None] * len(self.layers), None)
        after = []
        for layer, before in zip(self.layers, layers, strict=True):
            h_TBH, left = layer.scan(h_TBH, state=before)
            after.append(left)
        steps, history = len(h_TBH), self.head.kernel - 1
        seen = h_TBH if tail is None else torch.cat([tail, h_TBH])
        y_TBO = self.head(seen, steps)
        return y_TBO.transpose(0, 1), (after, seen[max(0, len(seen) - history) :])
