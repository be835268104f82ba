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
from drnn_bench.models.needed import (
    chains,
    keep,
    needed_steps,
    thinned,
)
from drnn_bench.models.streaming import Ring, single_step

# How recurrent layers and their output layer begin:
# orthogonal  Glorot inputs, orthogonal recurrences, biases zero. For the LSTM all gates open (1)
#             and a gain of 2 on the candidate's inputs: a gate of one half on the way in and
#             another on the way out would quarter the signal at every layer of a deep stack
# uniform     torch's own: everything uniform within 1/sqrt(units)
# paper       the official code's: Glorot over inputs and recurrences together, GRU gates 1, LSTM
#             forget gate 1, output layer N(0, 1)
INITS = ("orthogonal", "uniform", "paper")


class RecurrentLayer(nn.Module):
    """c_t = f(x_t, c_{t-s}) for one cell (Chang et al. 2017, eq. 1), one bias per gate.

    rnn  h = tanh(W x + U h' + b)
    gru  torch's form, the reset gate after the product, with only the input bias trained:
         n = tanh(W_n x + b_n + r * (U_n h')). The paper's cell resets h' before the product.
    lstm torch's form, without peepholes.
    Gate order is torch's: (r, z, n) and (i, f, g, o).
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        width: int,
        dilation: int = 1,
        init: str = "orthogonal",
    ):
        super().__init__()
        rows = kernels.gates(cell) * width
        self.cell, self.dilation, self.width = cell, dilation, width
        self.w_ih = nn.Parameter(torch.empty(rows, input_size))
        self.w_hh = nn.Parameter(torch.empty(rows, width))
        self.bias = nn.Parameter(torch.empty(rows))
        self.reset_parameters(init)

    @torch.no_grad()
    def reset_parameters(self, init: str) -> None:
        width = self.width
        if init == "uniform":
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)
            return
        nn.init.zeros_(self.bias)
        if init == "paper":
            bound = math.sqrt(6 / (self.w_ih.shape[1] + width + len(self.bias)))
            nn.init.uniform_(self.w_ih, -bound, bound)
            nn.init.uniform_(self.w_hh, -bound, bound)
            if self.cell == "gru":
                self.bias[: 2 * width] = 1
        else:
            for w_ih, w_hh in zip(self.w_ih.split(width), self.w_hh.split(width), strict=True):
                nn.init.xavier_uniform_(w_ih)
                nn.init.orthogonal_(w_hh)
            if self.cell == "lstm":
                self.w_ih[2 * width : 3 * width] *= 2
                self.bias[:] = 1
                self.bias[2 * width : 3 * width] = 0
        if self.cell == "lstm":
            self.bias[width : 2 * width] = 1

    @property
    def weights(self) -> kernels.Weights:
        return self.w_ih, self.w_hh, self.bias

    @property
    def back(self) -> int:
        """How many steps it looks back, and so remembers."""
        return self.dilation

    def back_among(self, chains: int) -> int:
        """The same where only the steps of so many of its chains are kept."""
        return chains

    def scan(
        self, x_TBI: Tensor, dilation: int | None = None, state: kernels.State | None = None
    ) -> tuple[Tensor, kernels.State]:
        return kernels.scan(self.cell, x_TBI, self.weights, dilation or self.back, state)

    def step(self, x_TBI: Tensor, ring: Ring) -> Tensor:
        """One step, without gradients; the ring turns in place."""
        y, newest = kernels.step(self.cell, x_TBI, self.weights, ring.back(ring.size))
        ring.push(newest)
        return y

    def empty(self, x_TBI: Tensor) -> Ring:
        """What a sequence begins with."""
        zeros = x_TBI.new_zeros(self.back, x_TBI.shape[1], self.width)
        return Ring((zeros,) * kernels.STATES[self.cell])


class CausalHead(nn.Module):
    """Output layer: a causal convolution over the top layer, y_t = b + sum_j W_j h_{t-j}.

    Kernel 1 is the usual linear layer. Kernel M^l0 is the paper's final 1-by-M^l0 convolution,
    which gives a net whose first dilation is M^l0 back the spans that it skipped.
    """

    def __init__(self, width: int, output_size: int, kernel: int = 1, init: str = "uniform"):
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(kernel, output_size, width))
        self.bias = nn.Parameter(torch.zeros(output_size))
        if init == "paper":
            nn.init.normal_(self.weight)
        else:
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

    def stream(self, h_TBH: Tensor, tail: Tensor | None) -> tuple[Tensor, Tensor]:
        """`tail`: the up to k-1 steps before h."""
        seen = h_TBH if tail is None else torch.cat([tail, h_TBH])
        return self(seen, len(h_TBH)), seen[max(0, len(seen) - self.kernel + 1) :]


def affine(weight_OI: Tensor, x: Tensor, bias_O: Tensor) -> Tensor:
    """[O, ...] of x [I, ...]: a linear layer where what it mixes comes first."""
    y_OX = torch.addmm(bias_O.unsqueeze(1), weight_OI, x.flatten(1))
    return y_OX.unflatten(1, x.shape[1:])


class SequenceModel(nn.Module):
    """Layers over time and a causal output layer: what every family builds.

    `model(x_BTI)` gives logits (B, T, O) at any length; `model(x_BTI, last=n)` only those of the
    last n steps, where that can be cheaper (see `needed`). `model.stream` continues a sequence.
    A layer's `forward(x_TBI, chains)` computes the steps it is given, which are `chains` apart
    where the sequence's are `layer.dilation` apart; its `stream(x_TBI, state)` goes on from state.
    """

    takes_symbols = False

    def __init__(self, layers: list[nn.Module], head: CausalHead):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.head = head

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        h_TBH = self.encode(x_BTI.transpose(0, 1))
        length = int(h_TBH.shape[0])
        last = length if last is None else last
        seen = min(length, last + self.head.kernel - 1)
        dilations = tuple(layer.dilation for layer in self.layers)
        present = None
        for layer, wanted in zip(self.layers, needed_steps(dilations, length, seen), strict=True):
            h_TBH = layer(keep(h_TBH, present, wanted), chains(wanted, layer.dilation))
            present = wanted
        return self.head(h_TBH, last).transpose(0, 1)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits (B, T, O) of the next T steps of a sequence, and the state to go on with.

        Chunks of any size give what one pass over the whole sequence gives; a single step costs
        the same whatever the dilations are. The state given is consumed.
        """
        h_TBH = self.encode(x_BTI.transpose(0, 1))
        before, tail = state or ([None] * len(self.layers), None)
        after = []
        for layer, left in zip(self.layers, before, strict=True):
            h_TBH, left = layer.stream(h_TBH, left)
            after.append(left)
        y_TBO, tail = self.head.stream(h_TBH, tail)
        return y_TBO.transpose(0, 1), (after, tail)

    def encode(self, x_TBI: Tensor) -> Tensor:
        """What enters the first layer."""
        return x_TBI


class RecurrentStack(SequenceModel):
    """Recurrent layers of one cell. The kernels take the whole stack at once.

    Symbols x_BT, whole numbers, may stand in place of their one-hot x_BTI.
    """

    takes_symbols = True

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        length = int(x_BTI.shape[1])
        last = length if last is None else last
        seen = min(length, last + self.head.kernel - 1)
        rows, chains = thinned(tuple(layer.dilation for layer in self.layers), length, seen)
        backs = [layer.back_among(n) for layer, n in zip(self.layers, chains, strict=True)]
        h_TBH, _ = self._stack(x_BTI.transpose(0, 1), backs, rows=rows, last=seen, leaving=False)
        return self.head(h_TBH, last).transpose(0, 1)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        h_TBH = x_BTI.transpose(0, 1)
        rings, tail = state or (None, None)
        if single_step(h_TBH):
            h_TBH = kernels.one_hot(h_TBH, self.layers[0].weights[0])
            rings = rings or [layer.empty(h_TBH) for layer in self.layers]
            for layer, ring in zip(self.layers, rings, strict=True):
                h_TBH = layer.step(h_TBH, ring)
        else:
            states = rings and [ring.ordered() for ring in rings]
            backs = [layer.back for layer in self.layers]
            h_TBH, states = self._stack(h_TBH, backs, states=states)
            rings = [Ring(state) for state in states]
        y_TBO, tail = self.head.stream(h_TBH, tail)
        return y_TBO.transpose(0, 1), (rings, tail)

    def _stack(self, x_TBI: Tensor, backs: list[int], **options: Any) -> tuple[Tensor, list]:
        weights = [layer.weights for layer in self.layers]
        return kernels.stack(self.layers[0].cell, x_TBI, weights, backs, **options)


def recurrent_stack(
    cell: str,
    input_size: int,
    widths: tuple[int, ...],
    dilations: tuple[int, ...],
    output_size: int,
    kernel: int = 1,
    init: str = "orthogonal",
) -> RecurrentStack:
    """Recurrent layers of these widths and dilations, and an output layer of this kernel."""
    sizes = (input_size, *widths)
    layers = [
        RecurrentLayer(cell, sizes[i], width, dilation, init)
        for i, (width, dilation) in enumerate(zip(widths, dilations, strict=True))
    ]
    return RecurrentStack(layers, CausalHead(widths[-1], output_size, kernel, init))
