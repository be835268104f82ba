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
from drnn_bench.cells.cell import Cell
from drnn_bench.cells.inits import INITS, NEEDS
from drnn_bench.cells.registry import find_cell
from drnn_bench.errors import UserError
from drnn_bench.models.architecture import at_least, one_of
from drnn_bench.models.needed import keep, thinned
from drnn_bench.models.streaming import Ring, single_step


def as_cell(cell: Cell | str) -> Cell:
    """A cell, given itself or by its name. Raises UserError for an unknown name."""
    return cell if isinstance(cell, Cell) else find_cell(cell)


def check_init(cell: Cell, init: str, memory: int | None) -> None:
    """Raises UserError for an initialisation that a cell does not have."""
    one_of("init", init, INITS)
    if init not in cell.inits:
        has = f"{cell.name}, which has {', '.join(cell.inits)}"
        raise UserError(f"init={init} needs {NEEDS.get(init, 'another cell')}: not {has}")
    if init != "chrono":
        if memory is not None:
            raise UserError(f"memory belongs to init=chrono, here init={init}")
        return
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


def computes(weight: Tensor) -> bool:
    """Whether a weight has numbers to initialise. Nets are built on the meta device to count their
    parameters; there the first computation imports torch's compiler, which takes two seconds."""
    return not weight.is_meta


class RecurrentLayer(Layer):
    """c_t = f(x_t, c_{t-s}) for one cell (Chang et al. 2017, eq. 1). Its parameters are the cell's
    weights, by the names that the cell gives them."""

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        width: int,
        dilation: int = 1,
        init: str = "orthogonal",
        memory: int | None = None,
    ):
        super().__init__()
        self.cell, self.width, self.dilation = as_cell(cell), width, dilation
        shapes = self.cell.shapes(input_size, width)
        self.names = tuple(shapes)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        if computes(self.weights[0]):
            with torch.no_grad():
                of_chain = None if memory is None else memory / dilation
                self.cell.initialise(self.weights, init, of_chain)

    @property
    def weights(self) -> kernels.Weights:
        """In the cell's order."""
        return tuple(getattr(self, name) for name in self.names)

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
        return Ring((zeros,) * self.cell.states)


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
        end = kernels.size(h_TBH.shape[0])
        missing = last + self.kernel - 1 - end
        if missing > 0:
            h_TBH = F.pad(h_TBH, (0, 0, 0, 0, missing, 0))
            end += missing
        if self.kernel == 1 and not kernels.symbolic(end) and end == last:  # the cheaper views
            return self.bias + F.linear(h_TBH, self.weight.squeeze(0))
        y = self.bias
        for back, weight in enumerate(self.weight):
            y = y + F.linear(h_TBH[end - back - last : end - back], weight)
        return y

    def stream(self, h_TBH: Tensor, tail: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits [T, B, O] of the steps of h. `tail`: the steps before h, at most k-1; None:
        none."""
        seen = h_TBH if tail is None else torch.cat([tail, h_TBH])
        steps = kernels.size(h_TBH.shape[0])
        return self(seen, steps), seen[max(0, kernels.size(seen.shape[0]) - self.kernel + 1) :]


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
        length = kernels.size(h_TBH.shape[0])
        last = length if last is None else last
        seen = min(length, last + self.head.kernel - 1)
        dilations = tuple(layer.dilation for layer in self.layers)
        rows, chains = thinned(dilations, length, seen)
        for layer, taken, n in zip(self.layers, rows, chains, strict=True):
            h_TBH = layer(keep(h_TBH, taken), n)
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


class RecurrentStack(SequenceModel[RecurrentLayer]):
    """Layers of one cell, which the kernels compute as one stack.

    It takes symbols x_BT (whole numbers) as well as their one-hot vectors x_BTI.
    """

    takes_symbols = True

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        length = kernels.size(x_BTI.shape[1])
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
    cell: Cell | str,
    input_size: int,
    widths: tuple[int, ...],
    dilations: tuple[int, ...],
    output_size: int,
    kernel: int = 1,
    init: str = "orthogonal",
    memory: int | None = None,
) -> RecurrentStack:
    """Recurrent layers of these widths and dilations, and an output layer of this kernel."""
    cell = as_cell(cell)
    sizes = (input_size, *widths)
    layers = [
        RecurrentLayer(cell, sizes[i], width, dilation, init, memory)
        for i, (width, dilation) in enumerate(zip(widths, dilations, strict=True))
    ]
    return RecurrentStack(layers, CausalHead(widths[-1], output_size, kernel, init))
