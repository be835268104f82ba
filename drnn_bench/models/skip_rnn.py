"""Regular skip RNN (Zhang et al. 2016; Chang et al. 2017, eq. 2), the dilated net's counterpart.

    h_t = tanh(W x_t + U h_{t-1} + V h_{t-s} + b)

It keeps the edge from t-1 that a dilated net removes, so a layer has two recurrent matrices and T
sequential steps. Layer l has s = skip * base^(l-1); with base 1 all layers have the same skip.

Legend: B batch, T steps, I inputs, H units, s skip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from drnn_bench import kernels
from drnn_bench.cells.rnn import RNN
from drnn_bench.cells.skip import Skip
from drnn_bench.models.architecture import Architecture, Paths, at_least
from drnn_bench.models.cost import stack_macs, stack_state
from drnn_bench.models.layers import CausalHead, RecurrentLayer, RecurrentStack
from drnn_bench.models.streaming import Ring


@dataclass(frozen=True, kw_only=True)
class SkipRNN(Architecture):
    skip: int = 256
    base: int = 1
    depth: int = 9

    family: ClassVar[str] = "skip_rnn"

    def __post_init__(self) -> None:
        at_least("skip", self.skip, 1)
        at_least("base", self.base, 1)
        at_least("depth", self.depth, 1)
        super().__post_init__()

    @property
    def skips(self) -> tuple[int, ...]:
        return tuple(self.skip * self.base**level for level in range(self.depth))

    @property
    def longest_span(self) -> int:
        return max(self.skips)

    @property
    def period(self) -> int:
        return max(self.skips)

    @property
    def paths(self) -> Paths:
        return Paths(self.depth, tuple(sorted({1, *self.skips})))

    @property
    def recurrent_edges_per_node(self) -> float:
        return 2.0

    def sequential_steps(self, length: int) -> int:
        return self.depth * length

    @property
    def macs_per_step(self) -> int:
        return stack_macs(self, Skip())

    @property
    def state_bytes(self) -> int:
        return stack_state(self, Skip(), self.skips)

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The longest skip stays below the sequence length."""
        skip, base = options.get("skip", cls.skip), options.get("base", cls.base)
        if base == 1:
            return {"skip": length - 1}
        depth = 0
        while skip * base**depth < length:
            depth += 1
        return {"skip": length - 1, "depth": depth}

    def network(self) -> RecurrentStack:
        sizes = (self.input_size, *self.widths)
        layers = [SkipLayer(sizes[i], sizes[i + 1], s) for i, s in enumerate(self.skips)]
        return RecurrentStack(layers, CausalHead(sizes[-1], self.output_size))


class SkipLayer(RecurrentLayer):
    """A layer of the skip cell, which looks `skip` steps back. Its dilation is 1, as every step
    needs the one before."""

    cell: Skip

    def __init__(self, input_size: int, width: int, skip: int):
        super().__init__(Skip(), input_size, width)
        self.skip = skip

    @property
    def back(self) -> int:
        return self.skip

    def back_among(self, chains: int) -> int:
        return self.skip

    def step(self, x_TBI: Tensor, ring: Ring) -> Tensor:
        x = torch.cat([x_TBI, *ring.back(ring.size)], 2)
        y, newest = kernels.step(RNN(), x, self.cell.as_rnn(self.weights), ring.back(1))
        ring.push(newest)
        return y
