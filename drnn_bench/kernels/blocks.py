"""Blocks of COLUMNS sequences, shared out to threads.

Blocks share nothing, and each keeps its own sums of the weights' gradients, which are then added in
order. So the results have the same bits for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from torch import Tensor

from drnn_bench.kernels import settings


def arguments(record: np.dtype, given: dict[str, int], **of_blocks: Tensor) -> np.ndarray:
    """What a kernel takes, for each block: its parts of float32 tensors [blocks, ...], contiguous,
    lie at the addresses. `given`: what is the same for all blocks. `record`: of whole numbers."""
    blocks = len(next(iter(of_blocks.values())))
    first = given | {name: whole.data_ptr() for name, whole in of_blocks.items()}
    step = {name: 4 * whole.stride(0) for name, whole in of_blocks.items()}
    names = record.names or ()
    table = np.multiply.outer(np.arange(blocks), [step.get(name, 0) for name in names])
    table += [first.get(name, 0) for name in names]
    return table.view(record)[:, 0]


def threads(blocks: int) -> int:
    """How many threads take so many blocks."""
    return min(blocks, settings.threads())


def each_block(run: Callable[[int, np.ndarray, int], None], count: int, memories: Tensor) -> None:
    """Calls run(block, memory, its address) for every block 0 .. count-1. `memories`: float32, one
    for each block, or one for each thread, which its blocks then use in turn."""
    workers, arrays = threads(count), memories.numpy()
    # NumPy takes 20 times as long as torch to tell an address.
    first, size = memories.data_ptr(), 4 * memories.stride(0)

    def share(worker: int) -> None:
        for block in range(worker, count, workers):
            place = block % len(arrays)
            run(block, arrays[place], first + place * size)

    if workers == 1:
        share(0)
    else:
        list(_pool(workers).map(share, range(workers)))


@lru_cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers)
