"""Checks on the arrays of a task, made once, when its data is read.

A task may be a user's code. Without the checks, wrong arrays would end in an error of torch, or be
cast silently: real targets to whole numbers, coordinates to float32.

Legend: N sequences, T steps, I input size.
"""

from __future__ import annotations

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.tasks.task import (
    SPLITS,
    UNSCORED,
    Arrays,
    Task,
)

ROWS = 4096  # checked at a time


def check_arrays(task: Task, arrays: Arrays) -> None:
    """Raises UserError where the arrays are not what `Task` asks for; it names the split."""
    if set(arrays) != set(SPLITS):
        raise UserError(
            f"task {task.name}: gives the splits {', '.join(map(str, arrays))}; "
            f"expected {', '.join(SPLITS)}"
        )
    for split in SPLITS:
        where = f"task {task.name}, {split}"
        if len(arrays[split]) not in (2, 3):
            raise UserError(
                f"{where}: {len(arrays[split])} arrays; expected inputs, targets and, where "
                f"sequences differ in length, their lengths"
            )
        x, y, *lengths = arrays[split]
        if not len(x) or {len(array) for array in (y, *lengths)} != {len(x)}:
            counts = ", ".join(str(len(array)) for array in arrays[split])
            raise UserError(f"{where}: arrays of {counts} rows; expected the same number, above 0")
        _check_inputs(where, task, x)
        _check_targets(where, task, y, x)
        if lengths:
            _check_lengths(where, task, lengths[0], y)


def check_target_type(dtype: np.dtype, where: str) -> None:
    """Raises UserError for targets of real numbers."""
    if dtype.kind not in "biu":
        raise UserError(
            f"{where}: targets are {dtype}; supported are classes, whole numbers from 0, of each "
            f"sequence or of each step; targets that are real numbers are not"
        )


def _check_inputs(where: str, task: Task, x: np.ndarray) -> None:
    shapes = "(N,)" if task.stream else f"(N, {task.length}, {task.input_size})"
    if task.stream:
        fits = x.ndim == 1
    else:
        flat = x.ndim == 2 and (task.input_size == 1 or task.one_hot)
        fits = x.shape[1:2] == (task.length,) and (flat or x.shape[2:] == (task.input_size,))
    if not fits:
        raise UserError(f"{where}: inputs have shape {x.shape}; expected {shapes}")
    if task.one_hot:
        if x.dtype.kind not in "iu":
            raise UserError(f"{where}: inputs are {x.dtype}; expected symbols, whole numbers")
        if x.min() < 0 or x.max() >= task.input_size:
            raise UserError(
                f"{where}: symbols from {x.min()} to {x.max()}; expected 0 to {task.input_size - 1}"
            )
        return
    small = x.dtype.kind in "iu" and x.dtype.itemsize <= 2  # float32 holds those exactly
    if not small and x.dtype != np.float32:
        raise UserError(
            f"{where}: inputs are {x.dtype}; expected uint8 or float32: shift and scale them "
            f"first, and cast to float32 afterwards"
        )
    for start in range(0, len(x), ROWS):
        if not np.isfinite(x[start : start + ROWS]).all():
            row = start + int(np.argwhere(~np.isfinite(x[start : start + ROWS]))[0][0])
            raise UserError(f"{where}: row {row} of the inputs has NaN or infinite numbers")


def _check_targets(where: str, task: Task, y: np.ndarray, x: np.ndarray) -> None:
    check_target_type(y.dtype, where)
    expected = x.shape if task.stream else (len(x), task.scored)
    if y.shape != expected and not (task.scored == 1 and y.shape == (len(x),)):
        raise UserError(f"{where}: targets have shape {y.shape}; expected {expected}")
    scored = y[y != UNSCORED]
    if not scored.size:
        raise UserError(f"{where}: all targets are {UNSCORED}; nothing is scored")
    if scored.min() < 0 or scored.max() >= task.output_size:
        raise UserError(
            f"{where}: targets from {scored.min()} to {scored.max()}; expected 0 to "
            f"{task.output_size - 1}, or {UNSCORED} where a step is not scored"
        )


def _check_lengths(where: str, task: Task, lengths: np.ndarray, y: np.ndarray) -> None:
    if lengths.dtype != np.int64 or lengths.min() < 1 or lengths.max() > task.length:
        raise UserError(
            f"{where}: lengths are {lengths.dtype} from {lengths.min()} to {lengths.max()}; "
            f"expected int64 from 1 to {task.length}"
        )
    if y.shape[1:] == (task.length,):
        beyond = np.arange(task.length) >= lengths[:, None]
        if (y[beyond] != UNSCORED).any():
            raise UserError(
                f"{where}: steps after a sequence's end have targets; expected {UNSCORED} there"
            )
