"""What the kernels of blocks share around a call: addresses, room for rows, sums of gradients.

Legend: L = COLUMNS sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from drnn_bench.kernels.blocks import each_block, threads
from drnn_bench.kernels.layout import empty, fresh, from_block, numbers
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


def filled(record: np.dtype, own: dict[str, np.ndarray], **given: int) -> np.void:
    """What a kernel takes of one block: the addresses of arrays, and what else is given."""
    call = np.zeros(1, record)[0]
    places = {name: array.ctypes.data for name, array in own.items()}
    for name, value in (places | given).items():
        call[name] = value
    return call


def each_cut(run: Any, blocks: int, rows: dict[str, tuple[int, int]]) -> None:
    """Calls run(block, memory, its address) for every block; `cut` takes the memory apart."""
    size = sum(steps * features for steps, features in rows.values())
    each_block(run, blocks, empty(threads(blocks), size, COLUMNS))


def cut(memory: np.ndarray, rows: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
    """The arrays [steps, features, COLUMNS] that lie in a block's memory, one after the other."""
    arrays, start = {}, 0
    for name, (steps, features) in rows.items():
        part = memory[start : start + steps * features]
        arrays[name] = part.reshape(steps, features, COLUMNS)
        start += steps * features
    return arrays


def out(array: np.ndarray, block: int, into: Tensor) -> None:
    """Copies a block's array into its sequences of [steps, B, features]."""
    from_block(array, numbers(len(array)), block * COLUMNS, into.numpy())
