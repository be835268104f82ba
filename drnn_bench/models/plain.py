"""Plain stacks of one cell, whose layers read the step before.

A stack of any cell is a class like those below: its family, and its cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drnn_bench.cells.registry import find_cell
from drnn_bench.models.architecture import Stepwise
from drnn_bench.models.cost import stack_macs, stack_state
from drnn_bench.models.layers import RecurrentStack, check_init, recurrent_stack


@dataclass(frozen=True, kw_only=True)
class PlainStack(Stepwise):
    """`cell` names one of cells/names.py, or one of a plug-in."""

    init: str = "orthogonal"
    memory: int | None = None  # steps; of init=chrono

    cell: ClassVar[str]

    def __post_init__(self) -> None:
        check_init(find_cell(self.cell), self.init, self.memory)
        super().__post_init__()

    def sequential_steps(self, length: int) -> int:
        return self.depth * find_cell(self.cell).sequential_steps(length)

    @property
    def macs_per_step(self) -> int:
        return stack_macs(self, find_cell(self.cell))

    @property
    def state_bytes(self) -> int:
        return stack_state(self, find_cell(self.cell), (1,) * self.depth)

    def network(self) -> RecurrentStack:
        ones = (1,) * self.depth
        return recurrent_stack(
            self.cell,
            self.input_size,
            self.widths,
            ones,
            self.output_size,
            init=self.init,
            memory=self.memory,
        )


@dataclass(frozen=True, kw_only=True)
class RNN(PlainStack):
    family: ClassVar[str] = "rnn"
    cell: ClassVar[str] = "rnn"


@dataclass(frozen=True, kw_only=True)
class LSTM(PlainStack):
    family: ClassVar[str] = "lstm"
    cell: ClassVar[str] = "lstm"


@dataclass(frozen=True, kw_only=True)
class GRU(PlainStack):
    family: ClassVar[str] = "gru"
    cell: ClassVar[str] = "gru"


@dataclass(frozen=True, kw_only=True)
class MinLSTM(PlainStack):
    family: ClassVar[str] = "min_lstm"
    cell: ClassVar[str] = "min_lstm"


@dataclass(frozen=True, kw_only=True)
class IndRNN(PlainStack):
    family: ClassVar[str] = "indrnn"
    cell: ClassVar[str] = "indrnn"


@dataclass(frozen=True, kw_only=True)
class LEM(PlainStack):
    family: ClassVar[str] = "lem"
    cell: ClassVar[str] = "lem"
