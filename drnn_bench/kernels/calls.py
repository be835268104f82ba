"""What the kernels of blocks share around a call: addresses, room for rows, sums of gradients.

Legend: L = COLUMNS sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from drnn_bench.kernels.blocks import each_block, threads
from drnn_bench.kernels.layout import empty, fresh
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW


def addresses_of(**weights: Tensor) -> dict[str, int]:
    """Their addresses. Backward asks anew: hooks may have kept copies of what was saved."""
    return {name: weight.data_ptr() for name, weight in weights.items()}


class Sums:
    """The gradients of weights: of each block a register for each number, zero at first."""

    def __init__(self, blocks: int, *weights: Tensor):
        self.rows = [fresh(blocks, *weight.shape, LANES).zero_() for weight in weights]

    def added(self) -> list[Tensor]:
        return [rows.sum((0, -1)) for rows in self.rows]


def run(kernel: Any, calls: np.ndarray, **rows: tuple[int, ...]) -> None:
    """Calls a kernel for every block. `rows`: what it needs beside, so many rows, zeros."""
    sizes = {name: int(np.prod(shape)) for name, shape in rows.items()}
    memory = empty(threads(len(calls)), sum(sizes.values()), COLUMNS)

    def call(block: int, own: np.ndarray, address: int) -> None:
        own[:] = 0
        for name, size in sizes.items():
            calls[name][block] = address
            address += size * ROW
        kernel(calls[block])

    each_block(call, len(calls), memory)
