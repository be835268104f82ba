"""Dilated causal CNN: the paper's rival, a plain stack of causal convolutions with ReLU.

Layer l is h_t = relu(sum_j W_j x_{t - j*d}), j = 0..kernel-1, d = base^(l-1), without bias
(paper.md's count: 10 layers of 20 at kernel 2 are 7,450 parameters with the output layer).

Legend: B batch, T steps, I inputs, C channels, O outputs, k kernel size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.models.architecture import Architecture, Paths, at_least, max_levels
from drnn_bench.models.layers import CausalHead
from drnn_bench.models.needed import chains, keep, needed_steps


@dataclass(frozen=True, kw_only=True)
class DilatedCNN(Architecture):
    base: int = 2
    depth: int = 10
    kernel: int = 2

    family: ClassVar[str] = "dilated_cnn"

    def __post_init__(self) -> None:
        at_least("base", self.base, 1)
        at_least("depth", self.depth, 1)
        at_least("kernel", self.kernel, 2)
        super().__post_init__()

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(self.base**level for level in range(self.depth))

    @property
    def period(self) -> None:
        return None

    @property
    def paths(self) -> Paths:
        windows = tuple(tuple(j * d for j in range(self.kernel)) for d in self.dilations)
        return Paths(self.depth, windows=windows)

    @property
    def recurrent_edges_per_node(self) -> float:
        return 0.0

    def sequential_steps(self, length: int) -> int:
        return self.depth

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The largest dilation stays below the sequence length."""
        levels = max_levels(options.get("base", cls.base), length)
        return {} if levels is None else {"depth": levels}

    def build(self) -> DilatedCNNStack:
        return DilatedCNNStack(self)


class CausalConv(nn.Module):
    """One layer, time first: a product per tap, on the steps each tap reads."""

    def __init__(self, input_size: int, channels: int, kernel: int, dilation: int):
        super().__init__()
        self.kernel, self.dilation = kernel, dilation
        self.weight = nn.Parameter(torch.empty(channels, input_size, kernel))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x_TBI: Tensor, dilation: int, history: Tensor | None = None) -> Tensor:
        """`history`: the (kernel-1)*dilation steps before x; None means zeros."""
        steps, back = len(x_TBI), (self.kernel - 1) * dilation
        if history is None:
            x_TBI = F.pad(x_TBI, (0, 0, 0, 0, back, 0))
        else:
            x_TBI = torch.cat([history, x_TBI])
        taps = [x_TBI[j * dilation : j * dilation + steps] for j in range(self.kernel)]
        # The last tap is the step itself: the kernel's order is oldest first, as in nn.Conv1d.
        return F.linear(torch.cat(taps, dim=2), self.weight.transpose(1, 2).flatten(1))


class DilatedCNNStack(nn.Module):
    def __init__(self, config: DilatedCNN):
        super().__init__()
        sizes = (config.input_size, *config.widths)
        self.dilations = config.dilations
        self.layers = nn.ModuleList(
            CausalConv(sizes[i], sizes[i + 1], config.kernel, dilation)
            for i, dilation in enumerate(config.dilations)
        )
        self.head = CausalHead(sizes[-1], config.output_size)

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        h_TBC = x_BTI.transpose(0, 1)
        length = len(h_TBC)
        last = length if last is None else min(last, length)
        present = None
        for layer, wanted in zip(
            self.layers, needed_steps(self.dilations, length, last), strict=True
        ):
            h_TBC = keep(h_TBC, present, wanted)
            h_TBC = F.relu(layer(h_TBC, chains(wanted, layer.dilation) or 1))
            present = wanted
        return self.head(h_TBC[len(h_TBC) - last :], last).transpose(0, 1)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits (B, T, O) of the next T steps of a sequence, and the state to go on with."""
        h_TBC = x_BTI.transpose(0, 1)
        after = []
        for i, layer in enumerate(self.layers):
            back = (layer.kernel - 1) * layer.dilation
            before = state[i] if state else h_TBC.new_zeros(back, *h_TBC.shape[1:])
            after.append(torch.cat([before, h_TBC])[-back:])
            h_TBC = F.relu(layer(h_TBC, layer.dilation, before))
        return self.head(h_TBC, len(h_TBC)).transpose(0, 1), after
