"""A plain stack of minimal GRUs (cells/min_gru.py), whose layers are parallel scans.

On a CPU, where each round of a scan would be a pass over memory, the steps are walked in order
(kernels/min_gru.py); `sequential_steps` counts the rounds of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from drnn_bench.cells.registry import find_cell
from drnn_bench.models.architecture import ParallelScan
from drnn_bench.models.cost import stack_macs, stack_state
from drnn_bench.models.layers import RecurrentStack, recurrent_stack


@dataclass(frozen=True, kw_only=True)
class MinGRU(ParallelScan):
    family: ClassVar[str] = "min_gru"

    @property
    def macs_per_step(self) -> int:
        """The gates' products with the state are not products with weights, so none are counted."""
        return stack_macs(self, find_cell("min_gru"))

    @property
    def state_bytes(self) -> int:
        return stack_state(self, find_cell("min_gru"), (1,) * self.depth)

    def network(self) -> RecurrentStack:
        ones = (1,) * self.depth
        return recurrent_stack("min_gru", self.input_size, self.widths, ones, self.output_size)
