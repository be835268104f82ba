"""Dilated recurrent neural network (Chang et al., NIPS 2017, arXiv 1710.02224).

Layer l computes c_t = f(x_t, c_{t-s}) with s = base^(l-1+start): the edge from t-1 is gone, so a
layer is s interleaved chains that run side by side, and the stack takes about 2*T/base^start
sequential steps in place of depth*T (section 2). With start > 0 the spans below base^start are
lost; `fusion`, the paper's final 1-by-base^start convolution, restores them (section 2.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Architecture, Paths, at_least, max_levels, one_of
from drnn_bench.models.layers import RecurrentStack

CELLS = ("rnn", "gru", "lstm")


@dataclass(frozen=True, kw_only=True)
class DilatedRNN(Architecture):
    """cell, base M, depth L and start l0 give the dilations M^(l-1+l0), l = 1..L."""

    cell: str = "gru"
    base: int = 2
    start: int = 0
    depth: int = 9
    fusion: bool = False

    family: ClassVar[str] = "dilated_rnn"

    def __post_init__(self) -> None:
        one_of("cell", self.cell, CELLS)
        at_least("base", self.base, 1)
        at_least("depth", self.depth, 1)
        at_least("start", self.start, 0)
        if self.fusion and self.kernel == 1:
            raise UserError("fusion needs start >= 1 and base >= 2: a 1-by-1 convolution is none")
        super().__post_init__()

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(self.base ** (level + self.start) for level in range(self.depth))

    @property
    def kernel(self) -> int:
        """Width of the final convolution: base^start with fusion, else 1."""
        return self.base**self.start if self.fusion else 1

    @property
    def period(self) -> int:
        return max(self.dilations)

    @property
    def paths(self) -> Paths:
        windows = (tuple(range(self.kernel)),) if self.fusion else ()
        return Paths(self.depth + len(windows), tuple(sorted(set(self.dilations))), windows)

    @property
    def recurrent_edges_per_node(self) -> float:
        return 1.0

    def sequential_steps(self, length: int) -> int:
        return sum(-(-length // dilation) for dilation in self.dilations)

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The largest dilation stays below the sequence length; start leaves room for two
        layers."""
        base, start = options.get("base", cls.base), options.get("start", cls.start)
        levels = max_levels(base, length)
        if levels is None:
            return {}
        return {"start": max(0, levels - 2), "depth": levels - start}

    def build(self) -> RecurrentStack:
        return RecurrentStack(
            self.cell, self.input_size, self.widths, self.dilations, self.output_size, self.kernel
        )
