"""Numbers of any type, exact until a task shifts and scales them.

float64 holds whole numbers exactly up to 2**53; nanoseconds since 1970 and 64-bit counters are
greater. So a channel that has whole numbers of more than 32 bits gets an offset, a whole number,
which is subtracted in integer arithmetic before the channel becomes float64. A missing number is
NaN; in an integer array it is masked (numpy.ma) until the offset is subtracted.

Legend: N sequences, R rows, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drnn_bench.errors import UserError

GREAT = 2**32  # whole numbers up to it have no offset
LARGEST = float(np.finfo(np.float32).max)  # nothing greater is read: nets compute in float32

Offsets = tuple[int, ...]  # of each channel

INSTEAD = {  # dtype.kind -> how to save such values
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
    """Columns [R] of any types as channels [R, C], minus each channel's offset; the offsets."""
    offsets = tuple(_offset([column]) for column in columns)
    return np.stack([_shifted(*pair) for pair in zip(columns, offsets, strict=True)], 1), offsets


def steps_of(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, Offsets]:
    """Columns [R] as the steps of one channel [R, T, 1], minus its offset; the offset."""
    offset = _offset(columns)
    return np.stack([_shifted(column, offset) for column in columns], 1)[..., None], (offset,)


def exact(
    x: np.ndarray | list[np.ndarray], channels: int
) -> tuple[np.ndarray | list[np.ndarray], Offsets]:
    """Sequences ([N, T, C], or N of [T, C]) minus each channel's offset; the offsets."""
    arrays: list[np.ndarray] = [x] if isinstance(x, np.ndarray) else x
    offsets = (0,) * channels
    if any(_great(array) for array in arrays):
        offsets = tuple(_offset([array[..., c] for array in arrays]) for c in range(channels))
    if isinstance(x, np.ndarray):
        return _shifted_each(x, offsets), offsets
    return [_shifted_each(row, offsets) for row in x], offsets


def moved(x: np.ndarray, old: Offsets, new: Offsets) -> np.ndarray:
    """Series [..., C] from which `old` was subtracted, as if `new` had been."""
    if old == new:
        return x
    return x + np.array([float(a - b) for a, b in zip(old, new, strict=True)])


def _offset(arrays: Sequence[np.ndarray]) -> int:
    """The offset of one channel: its least whole number if some are great, else 0."""
    if not any(_great(array) for array in arrays):
        return 0
    whole = [_present(array) for array in arrays if array.dtype.kind in "iu"]
    return min(int(array.min()) for array in whole if array.size)


def _great(array: np.ndarray) -> bool:
    """Whether it has whole numbers of more than 32 bits."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8:
        return False
    there = _present(array)
    return bool(there.size) and (int(there.max()) > GREAT or int(there.min()) < -GREAT)


def _present(array: np.ndarray) -> np.ndarray:
    """The numbers that are not missing."""
    return array.compressed() if isinstance(array, np.ma.MaskedArray) else array


def _shifted_each(x: np.ndarray, offsets: Offsets) -> np.ndarray:
    if not any(offsets):
        return _shifted(x, 0)
    return np.stack([_shifted(x[..., c], offset) for c, offset in enumerate(offsets)], -1)


def _shifted(array: np.ndarray, offset: int) -> np.ndarray:
    """An array minus an offset, which is at most its least whole number."""
    if isinstance(array, np.ma.MaskedArray):
        whole = _shifted(array.filled(offset), offset).astype(np.float64)
        return np.where(np.ma.getmaskarray(array), np.nan, whole)
    if not offset:
        wide = array.dtype.itemsize > 8  # numpy's longdouble
        return array.astype(np.float64) if wide else array
    if array.dtype.kind == "f":
        return array.astype(np.float64) - offset
    # Modulo 2**64: a difference of two int64 may be beyond int64, but it is not negative.
    return (array.astype(np.uint64) - np.uint64(offset % 2**64)).astype(np.float64)
