"""Numbers of any kind, kept exactly until a task shifts and scales them.

float64 holds whole numbers up to 2**53, and the mean of such numbers less exactly the greater they
are. Nanoseconds since 1970 and 64-bit counters are beyond it. So, of a channel that has whole
numbers of more than 32 bits, a whole number, its offset, is subtracted first, as whole numbers.
A missing number is NaN, and among whole numbers it is masked (numpy.ma), until that is done.

Legend: N sequences, R rows, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drnn_bench.errors import UserError

GREAT = 2**32  # whole numbers up to it have no offset
LARGEST = float(np.finfo(np.float32).max)  # nothing greater is read: nets compute in float32

Offsets = tuple[int, ...]  # of each channel

INSTEAD = {  # a kind of numpy's -> how to save what it holds
    "b": "save it as numbers: x.astype('uint8')",
    "c": "save real and imaginary parts as channels: np.stack([x.real, x.imag], -1)",
    "M": "save the times as numbers: x.astype('int64')",
    "m": "save the times as numbers: x.astype('int64')",
    "O": "save it as numbers, sequences of unequal length padded with NaN: x.astype(float)",
}


def check_kind(dtype: np.dtype, where: str) -> None:
    """Refuses series of anything but whole and real numbers."""
    if dtype.kind not in "iuf":
        hint = f"; {INSTEAD[dtype.kind]}" if dtype.kind in INSTEAD else ""
        raise UserError(f"{where}: holds {dtype}, expected whole or real numbers{hint}")


def side_by_side(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, Offsets]:
    """Columns [R], a channel each and of any kinds, as [R, C], less the offset of each channel."""
    offsets = tuple(_offset([column]) for column in columns)
    return np.stack([_less(*pair) for pair in zip(columns, offsets, strict=True)], 1), offsets


def steps_of(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, Offsets]:
    """Columns [R], each a step of one channel, as [R, T, 1], less the channel's offset."""
    offset = _offset(columns)
    return np.stack([_less(column, offset) for column in columns], 1)[..., None], (offset,)


def exact(x: Sequence[np.ndarray], channels: int) -> tuple[Sequence[np.ndarray], Offsets]:
    """Sequences ([N, T, C], or N of [T, C]) less the offset of each channel."""
    arrays = [x] if isinstance(x, np.ndarray) else x
    offsets = (0,) * channels
    if any(_great(array) for array in arrays):
        offsets = tuple(_offset([array[..., c] for array in arrays]) for c in range(channels))
    if isinstance(x, np.ndarray):
        return _less_each(x, offsets), offsets
    return [_less_each(row, offsets) for row in x], offsets


def moved(x: np.ndarray, old: Offsets, new: Offsets) -> np.ndarray:
    """Series [..., C] that are less one offset, as less another."""
    if old == new:
        return x
    return x + np.array([float(a - b) for a, b in zip(old, new, strict=True)])


def _offset(arrays: Sequence[np.ndarray]) -> int:
    """Of one channel: the least of its whole numbers if some are great, else 0."""
    if not any(_great(array) for array in arrays):
        return 0
    whole = [_there(array) for array in arrays if array.dtype.kind in "iu"]
    return min(int(array.min()) for array in whole if array.size)


def _great(array: np.ndarray) -> bool:
    """Whether it has whole numbers of more than 32 bits."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8:
        return False
    there = _there(array)
    return bool(there.size) and (int(there.max()) > GREAT or int(there.min()) < -GREAT)


def _there(array: np.ndarray) -> np.ndarray:
    """The numbers that are not missing."""
    return array.compressed() if isinstance(array, np.ma.MaskedArray) else array


def _less_each(x: np.ndarray, offsets: Offsets) -> np.ndarray:
    if not any(offsets):
        return _less(x, 0)
    return np.stack([_less(x[..., c], offset) for c, offset in enumerate(offsets)], -1)


def _less(array: np.ndarray, offset: int) -> np.ndarray:
    """An array less an offset, which none of its whole numbers is below."""
    if isinstance(array, np.ma.MaskedArray):
        whole = _less(array.filled(offset), offset).astype(np.float64)
        return np.where(np.ma.getmaskarray(array), np.nan, whole)
    if not offset:
        wide = array.dtype.itemsize > 8  # numpy's longdouble
        return array.astype(np.float64) if wide else array
    if array.dtype.kind == "f":
        return array.astype(np.float64) - offset
    # Modulo 2**64: a difference of two int64 may be beyond int64, but it is not negative.
    return (array.astype(np.uint64) - np.uint64(offset % 2**64)).astype(np.float64)
