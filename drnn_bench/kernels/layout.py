"""Copies between torch's tensors and the kernels' rows, and the memory in which rows lie.

Each copy first takes one step out of both arrays. An index into the whole array would be read anew
for every number, as the compiler cannot tell that no write changes it: four times slower.

Legend: T steps, B batch, I features of a step. A block is [T, I, COLUMNS], the batch innermost.
"""

from __future__ import annotations

import math
import threading
import weakref
from functools import cache

import numpy as np
import torch
from numba import float32, int64, types, void
from torch import Tensor

from drnn_bench.kernels.compiled import kernel
from drnn_bench.kernels.registers import COLUMNS

_BLOCK = float32[:, :, :]
_READ = types.Array(float32, 3, "A", readonly=True)


@kernel
def to_block(x_TBI, first, block):
    """Copies the sequences from `first` on. The last sequence is repeated to fill the block, so
    that the columns that are not read compute ordinary numbers."""
    steps, batch, features = x_TBI.shape
    for t in range(steps):
        source, into = x_TBI[t], block[t]
        for column in range(COLUMNS):
            b = min(first + column, batch - 1)
            for i in range(features):
                into[i, column] = source[b, i]


@kernel
def put_in_block(x_TBI, first, block):
    """Copies the sequences from `first` on; zeros fill the block, as these are gradients."""
    steps, batch, features = x_TBI.shape
    full = min(COLUMNS, batch - first)
    for t in range(steps):
        source, into = x_TBI[t, first : first + full], block[t]
        for column in range(full):
            for i in range(features):
                into[i, column] = source[column, i]
        for i in range(features):
            for column in range(full, COLUMNS):
                into[i, column] = 0


@kernel
def add_to_block(x_TBI, first, block, order):
    """Adds the sequences from `first` on, step t to step order[t]."""
    steps, batch, features = x_TBI.shape
    full = min(COLUMNS, batch - first)
    for t in range(steps):
        source, into = x_TBI[t, first : first + full], block[order[t]]
        for column in range(full):
            for i in range(features):
                into[i, column] += source[column, i]


@kernel
def from_block(block, order, first, x_TBI):
    """Copies steps order[0], order[1], ... of a block into the sequences from `first` on."""
    steps, batch, features = x_TBI.shape
    full = min(COLUMNS, batch - first)
    for t in range(steps):
        source, into = block[order[t]], x_TBI[t, first : first + full]
        for column in range(full):
            for i in range(features):
                into[column, i] = source[i, column]


KERNELS = {
    to_block: void(_READ, int64, _BLOCK),
    put_in_block: void(_READ, int64, _BLOCK),
    add_to_block: void(_READ, int64, _BLOCK, int64[::1]),
    from_block: void(_BLOCK, int64[::1], int64, _BLOCK),
}


def fresh(*shape: int) -> Tensor:
    """An uninitialised float32 tensor on the CPU, whatever torch's defaults are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


_idle: list[np.ndarray] = []
_lock = threading.Lock()
_MOST_IDLE = 4  # pieces: those of a training step, and those of an evaluation


def empty(*shape: int) -> Tensor:
    """An uninitialised float32 tensor, aligned to 64 bytes.

    Fresh memory costs a page fault every few KB, an eighth of a training step. So memory is used
    again once its tensor is freed.
    """
    need = math.prod(shape)
    with _lock:
        fits = [(len(m), i) for i, m in enumerate(_idle) if need <= len(m) <= 1.5 * need]
        memory = _idle.pop(min(fits)[1]) if fits else None
    if memory is None:
        # NumPy asks the system for large pages, and torch does not: page look-ups are fewer.
        memory = np.empty(need + 16, np.float32)
        memory = memory[-memory.ctypes.data % 64 // 4 :][:need]
    array = memory[:need].reshape(shape)
    weakref.finalize(array, _give_back, memory).atexit = False
    return torch.from_numpy(array)


def _give_back(memory: np.ndarray) -> None:
    """Is called whenever a tensor is freed: by the collector of cycles also while this very thread
    holds the lock. So it waits for nobody, and memory for which there is no place now is freed."""
    if _lock.acquire(blocking=False):
        _idle.append(memory)
        del _idle[:-_MOST_IDLE]
        _lock.release()


def numbers(count: int) -> np.ndarray:
    """0, 1, 2, ...: at least `count` of them. The array is never freed, because kernels hold its
    address and no reference to it."""
    return _numbers(max(1024, 1 << (count - 1).bit_length()))


@cache
def numbers_at(count: int) -> int:
    """The address of `numbers(count)`."""
    return numbers(count).ctypes.data


@cache
def _numbers(count: int) -> np.ndarray:
    return np.arange(count)


def as_array(tensor: Tensor) -> np.ndarray:
    """A CPU tensor as an array that shares its memory and strides. Of a negative view (`_neg_view`)
    it is a copy."""
    return tensor.detach().resolve_neg().numpy()
