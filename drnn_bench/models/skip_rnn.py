"""Regular skip RNN (Zhang et al. 2016; Chang et al. 2017, eq. 2), the dilated net's counterpart.

    h_t = tanh(W x_t + U h_{t-1} + V h_{t-s} + b)

It keeps the edge from t-1 that a dilated net removes, so it has two recurrent matrices and T
sequential steps a layer. Every layer has the same skip, or exponential ones: layer l has
s = skip * base^(l-1).

h_{t-s} lies s steps back, so a block of s steps knows all of its own: a layer runs block by block,
each a plain recurrence with h_{t-s} as further inputs.

Legend: B batch, T steps, I inputs, H units, s skip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from drnn_bench import kernels
from drnn_bench.models.architecture import Architecture, Paths, at_least
from drnn_bench.models.layers import CausalHead, SequenceModel
from drnn_bench.models.streaming import Ring, single_step


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

    def network(self) -> SequenceModel:
        sizes = (self.input_size, *self.widths)
        layers = [SkipLayer(sizes[i], sizes[i + 1], s) for i, s in enumerate(self.skips)]
        return SequenceModel(layers, CausalHead(sizes[-1], self.output_size))


class SkipLayer(nn.Module):
    dilation = 1  # every step needs the one before

    def __init__(self, input_size: int, width: int, skip: int):
        super().__init__()
        self.skip, self.width = skip, width
        self.w_ih = nn.Parameter(torch.empty(width, input_size))
        self.w_hh = nn.Parameter(torch.empty(width, width))
        self.w_skip = nn.Parameter(torch.empty(width, width))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.xavier_uniform_(self.w_ih)
        for weight in (self.w_hh, self.w_skip):
            nn.init.orthogonal_(weight, gain=2**-0.5)  # two of them keep the state's size

    def forward(self, x_TBI: Tensor, chains: int) -> Tensor:
        return self._run(x_TBI, self._zeros(x_TBI))[0]

    def stream(self, x_TBI: Tensor, ring: Ring | None) -> tuple[Tensor, Ring]:
        ring = ring or Ring((self._zeros(x_TBI),))
        if single_step(x_TBI):
            (skipped,), (before,) = ring.back(ring.size), ring.back(1)
            y, newest = self._block(x_TBI, skipped, before)
            ring.push(newest)
            return y, ring
        y, past = self._run(x_TBI, ring.ordered()[0])
        return y, Ring((past,))

    def _zeros(self, x_TBI: Tensor) -> Tensor:
        return x_TBI.new_zeros(self.skip, x_TBI.shape[1], self.width)

    def _run(self, x_TBI: Tensor, past_sBH: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs, and the last s of them; `past` holds the s before, oldest first."""
        outputs = []
        for block in x_TBI.split(self.skip):
            y, _ = self._block(block, past_sBH[: len(block)], past_sBH[-1:])
            past_sBH = y if len(y) == self.skip else torch.cat([past_sBH[len(y) :], y])
            outputs.append(y)
        return torch.cat(outputs), past_sBH

    def _block(self, x_TBI: Tensor, skipped_TBH: Tensor, before: Tensor) -> tuple[Tensor, tuple]:
        weights = (torch.cat([self.w_ih, self.w_skip], 1), self.w_hh, self.bias)
        return kernels.scan("rnn", torch.cat([x_TBI, skipped_TBH], 2), weights, 1, (before,))
