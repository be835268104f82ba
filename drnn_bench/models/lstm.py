"""A plain stack of LSTM layers (Hochreiter and Schmidhuber 1997), the rival everyone knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drnn_bench.models.architecture import Architecture, Paths, at_least
from drnn_bench.models.layers import RecurrentStack


@dataclass(frozen=True, kw_only=True)
class PlainStack(Architecture):
    """A stack of `depth` layers of one cell, every layer reading the step before."""

    depth: int = 1

    cell: ClassVar[str]

    def __post_init__(self) -> None:
        at_least("depth", self.depth, 1)
        super().__post_init__()

    @property
    def period(self) -> int:
        return 1

    @property
    def paths(self) -> Paths:
        return Paths(self.depth, (1,))

    @property
    def recurrent_edges_per_node(self) -> float:
        return 1.0

    def sequential_steps(self, length: int) -> int:
        return self.depth * length

    def build(self) -> RecurrentStack:
        ones = (1,) * self.depth
        return RecurrentStack(self.cell, self.input_size, self.widths, ones, self.output_size)


@dataclass(frozen=True, kw_only=True)
class LSTM(PlainStack):
    family: ClassVar[str] = "lstm"
    cell: ClassVar[str] = "lstm"
