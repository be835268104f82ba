"""Parts that families share: layers, a causal output layer, and models made of both.

Legend: B batch, T steps, I inputs, H units, O outputs, s dilation, k kernel size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.errors import UserError
from drnn_bench.models.architecture import at_least, one_of
from drnn_bench.models.needed import (
    chains,
    keep,
    needed_steps,
    thinned,
)
from drnn_bench.models.streaming import Ring, single_step

# How recurrent layers and their output layer are initialised:
# orthogonal  Glorot weights of the inputs, orthogonal weights of the states, biases zero. The
#             LSTM's gates have a bias of 1, and its candidate twice the weights of the inputs: with
#             an input gate and an output gate of one half, every layer of a deep stack would
#             quarter the signal
# uniform     torch's own: everything uniform within 1/sqrt(units)
# paper       the official code's: Glorot over inputs and states together, GRU gates 1, LSTM forget
#             gate 1, output layer N(0, 1)
# chrono      as orthogonal, but the gates that keep the state are biased for memories of up to T
#             steps (Tallec and Ollivier 2018, arXiv 1804.11188): LSTM forget log U(1, T-1), input
#             minus that; GRU update, which keeps the state in torch's form, log U(1, T-1). T is
#             `memory`, in steps of the layer's dilation
# identity    as orthogonal, but a tanh cell reads its own state through the identity, so that the
#             state is kept at first (Le, Jaitly and Hinton 2015, arXiv 1504.00941)
INITS = ("orthogonal", "uniform", "paper", "chrono", "identity")
GATED = ("gru", "lstm")


def check_init(cell: str, init: str, memory: int | None) -> None:
    """Raises UserError for an initialisation that a cell does not have."""
    one_of("init", init, INITS)
    if init == "identity" and cell != "rnn":
        raise UserError(f"init=identity needs a cell whose state is a tanh: rnn, got {cell}")
    if init != "chrono":
        if memory is not None:
            raise UserError(f"memory belongs to init=chrono, here init={init}")
        return
    if cell not in GATED:
        raise UserError(f"init=chrono needs gates that keep a state: cell gru or lstm, got {cell}")
    if memory is None:
        raise UserError("init=chrono needs memory=N: the longest memory to begin with, in steps")
    at_least("memory", memory, 2)


class Layer(nn.Module):
    """A layer of a `SequenceModel`, which looks `dilation` steps back."""

    dilation: int = 1

    def stream(self, x_TBI: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The outputs [T, B, H] of the next steps, and the state after them. None: the first
        steps."""
        raise NotImplementedError


L = TypeVar("L", bound=Layer)


class CellLayer(Layer):
    """A layer that the kernels compute: one cell of `kernels.STATES`, `width` units.

    A subclass makes the weights, and gives them in the kernels' order.
    """

    def __init__(self, cell: str, width: int, dilation: int = 1):
        super().__init__()
        self.cell, self.width, self.dilation = cell, width, dilation

    @property
    def weights(self) -> kernels.Weights:
        """As `kernels.dispatch` describes them."""
        raise NotImplementedError

    @property
    def back(self) -> int:
        """How many steps the layer looks back, and so must remember."""
        return self.dilation

    def back_among(self, chains: int) -> int:
        """The same where only the steps of so many of its chains are computed."""
        return chains

    def scan(
        self, x_TBI: Tensor, dilation: int | None = None, state: kernels.State | None = None
    ) -> tuple[Tensor, kernels.State]:
        """The outputs [T, B, H], and the state after the last step."""
        return kernels.scan(self.cell, x_TBI, self.weights, dilation or self.back, state)

    def step(self, x_TBI: Tensor, ring: Ring) -> Tensor:
        """The output [1, B, H] of one step, without gradients. The ring is changed in place."""
        y, newest = kernels.step(self.cell, x_TBI, self.weights, ring.back(ring.size))
        ring.push(newest)
        return y

    def empty(self, x_TBI: Tensor) -> Ring:
        """The state before the first step of a batch like x."""
        zeros = x_TBI.new_zeros(self.back, x_TBI.shape[1], self.width)
        return Ring((zeros,) * kernels.STATES[self.cell])


class RecurrentLayer(CellLayer):
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
        memory: int | None = None,
    ):
        super().__init__(cell, width, dilation)
        rows = kernels.gates(cell) * width
        self.w_ih = nn.Parameter(torch.empty(rows, input_size))
        self.w_hh = nn.Parameter(torch.empty(rows, width))
        self.bias = nn.Parameter(torch.empty(rows))
        self.reset_parameters(init, memory)

    @torch.no_grad()
    def reset_parameters(self, init: str, memory: int | None = None) -> None:
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
        if init == "identity":
            nn.init.eye_(self.w_hh)
        if self.cell == "lstm":
            self.bias[width : 2 * width] = 1
        if memory is not None:  # init chrono
            keep = self.bias[width : 2 * width]
            keep.uniform_(1, max(1.0, memory / self.dilation - 1)).log_()
            if self.cell == "lstm":
                self.bias[:width] = -keep

    @property
    def weights(self) -> kernels.Weights:
        return self.w_ih, self.w_hh, self.bias


class CausalHead(nn.Module):
    """Output layer: a causal convolution over the top layer, y_t = b + sum_j W_j h_{t-j}.

    Kernel 1 is the usual linear layer. Kernel M^l0 is the final 1-by-M^l0 convolution of Chang et
    al. 2017, section 2.3: where the first dilation is M^l0, it restores the shorter spans.
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
        """Logits [last, B, O] of the last `last` steps. h may lack early steps of the sequence that
        these logits do not depend on."""
        missing = last + self.kernel - 1 - len(h_TBH)
        if missing > 0:
            h_TBH = F.pad(h_TBH, (0, 0, 0, 0, missing, 0))
        end = len(h_TBH)
        y = self.bias
        for back, weight in enumerate(self.weight):
            y = y + F.linear(h_TBH[end - back - last : end - back], weight)
        return y

    def stream(self, h_TBH: Tensor, tail: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits [T, B, O] of the steps of h. `tail`: the steps before h, at most k-1; None:
        none."""
        seen = h_TBH if tail is None else torch.cat([tail, h_TBH])
        return self(seen, len(h_TBH)), seen[max(0, len(seen) - self.kernel + 1) :]


def affine(weight_OI: Tensor, x: Tensor, bias_O: Tensor) -> Tensor:
    """A linear layer over the first axis: [O, ...] of x [I, ...]."""
    y_OX = torch.addmm(bias_O.unsqueeze(1), weight_OI, x.flatten(1))
    return y_OX.unflatten(1, x.shape[1:])


class SequenceModel(nn.Module, Generic[L]):
    """Layers over time and a causal output layer.

    `model(x_BTI)` gives logits (B, T, O) at any length; `model(x_BTI, last=n)` those of the last n
    steps, which can be cheaper (see `needed`). `model.stream` continues a sequence.

    A layer has what `Layer` has, and `layer(x_TBI, chains)` gives its outputs [T, B, H]. The model
    may leave out steps that no output depends on: x then holds `chains` chains, and the state of
    `layer.dilation` steps before lies `chains` rows before.
    """

    takes_symbols = False

    def __init__(self, layers: Sequence[L], head: CausalHead):
        super().__init__()
        self.layers = cast("Sequence[L]", nn.ModuleList(layers))
        self.head = head

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        h_TBH = self.encode(x_BTI.transpose(0, 1))
        length = int(h_TBH.shape[0])
        last = length if last is None else last
        seen = min(length, last + self.head.kernel - 1)
        dilations = tuple(layer.dilation for layer in self.layers)
        present = None
        for layer, needed in zip(self.layers, needed_steps(dilations, length, seen), strict=True):
            h_TBH = layer(keep(h_TBH, present, needed), chains(needed, layer.dilation))
            present = needed
        return self.head(h_TBH, last).transpose(0, 1)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits (B, T, O) of the next T steps of a sequence, and the state after them.

        Chunks of any size give the results of one pass over the whole sequence. A single step costs
        the same for all dilations. It may change the state that it takes, which is then consumed.
        """
        h_TBH = self.encode(x_BTI.transpose(0, 1))
        before, tail = state or ([None] * len(self.layers), None)
        after = []
        for layer, layer_state in zip(self.layers, before, strict=True):
            h_TBH, layer_state = layer.stream(h_TBH, layer_state)
            after.append(layer_state)
        y_TBO, tail = self.head.stream(h_TBH, tail)
        return y_TBO.transpose(0, 1), (after, tail)

    def encode(self, x_TBI: Tensor) -> Tensor:
        """The inputs of the first layer."""
        return x_TBI


class RecurrentStack(SequenceModel[CellLayer]):
    """Layers of one cell, which the kernels compute as one stack.

    It takes symbols x_BT (whole numbers) as well as their one-hot vectors x_BTI.
    """

    takes_symbols = True

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        length = int(x_BTI.shape[1])
        last = length if last is None else last
        seen = min(length, last + self.head.kernel - 1)
        rows, chains = thinned(tuple(layer.dilation for layer in self.layers), length, seen)
        backs = [layer.back_among(n) for layer, n in zip(self.layers, chains, strict=True)]
        h_TBH, _ = self._stack(
            x_BTI.transpose(0, 1), backs, rows=rows, last=seen, return_states=False
        )
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
    memory: int | None = None,
) -> RecurrentStack:
    """Recurrent layers of these widths and dilations, and an output layer of this kernel."""
    sizes = (input_size, *widths)
    layers = [
        RecurrentLayer(cell, sizes[i], width, dilation, init, memory)
        for i, (width, dilation) in enumerate(zip(widths, dilations, strict=True))
    ]
    return RecurrentStack(layers, CausalHead(widths[-1], output_size, kernel, init))
