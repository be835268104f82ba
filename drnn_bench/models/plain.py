"""Plain stacks of one cell, whose layers read the step before.

rnn (Elman 1990, tanh), lstm (Hochreiter and Schmidhuber 1997), gru (Cho et al. 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drnn_bench import kernels
from drnn_bench.models.architecture import Stepwise
from drnn_bench.models.cost import stack_macs, stack_state
from drnn_bench.models.layers import RecurrentStack, check_init, recurrent_stack


@dataclass(frozen=True, kw_only=True)
class PlainStack(Stepwise):
    init: str = "orthogonal"
    memory: int | None = None  # steps; of init=chrono

    cell: ClassVar[str]

    def __post_init__(self) -> None:
        check_init(self.cell, self.init, self.memory)
        super().__post_init__()

    @property
    def macs_per_step(self) -> int:
        return stack_macs(self, kernels.gates(self.cell), edges=1)

    @property
    def state_bytes(self) -> int:
        return stack_state(self, kernels.STATES[self.cell], (1,) * self.depth)

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
