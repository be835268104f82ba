"""Checks on the arrays of a task, made once, when its data is read.

A task may be a user's code. Without the checks, wrong arrays would end in an error of torch, or be
cast silently: real targets to whole numbers, coordinates to float32.

Legend: N sequences, T steps, I input size.
"""

from __future__ import annotations

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.metrics.forms import TargetForm, steps_of
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
    _check_scaling(task)
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


def check_target_type(dtype: np.dtype, form: TargetForm, where: str) -> None:
    """Raises UserError for targets whose type is not that of the form."""
    if form.kind == "classes" and dtype.kind not in "biu":
        raise UserError(
            f"{where}: targets are {dtype}; expected classes, whole numbers from 0, of each "
            f"sequence or of each step; real numbers need loss_function mse, mae or quantile"
        )
    if form.kind == "binary" and dtype.kind not in "biu" and dtype != np.float32:
        raise UserError(f"{where}: targets are {dtype}; expected 0 or 1 for loss_function bce")
    if form.kind in ("real", "quantiles") and dtype != np.float32:
        classes = ": whole numbers as classes need loss_function cross_entropy"
        raise UserError(
            f"{where}: targets are {dtype}; expected float32, real numbers"
            + classes * (dtype.kind in "biu")
        )


def _check_scaling(task: Task) -> None:
    """A number for all targets, or one for each."""
    count = task.target_form.targets
    for fact in ("target_offset", "target_scale"):
        size = np.size(getattr(task, fact))
        if task.target_form.kind in ("real", "quantiles") and size not in (1, count):
            raise UserError(
                f"task {task.name}: {fact} has {size} numbers; expected one, or one for each of "
                f"the {count} targets"
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
    form = task.target_form
    check_target_type(y.dtype, form, where)
    _check_target_shape(where, task, y, len(x))
    steps = steps_of(y, form, task.stream)
    if form.kind == "classes":
        _check_values(where, y[y != UNSCORED], form.outputs)
    else:
        scored = steps[~np.isnan(steps)]
        if np.isinf(scored).any():
            raise UserError(f"{where}: targets have infinite numbers")
        whole = form.kind == "binary"
        _check_values(where, scored, 2 if whole else None)
        if whole and not np.isin(scored, (0, 1)).all():
            raise UserError(f"{where}: targets have numbers between 0 and 1; expected 0 or 1")
    for metric in task.metrics:
        fault = metric.fault(steps, form)
        if fault is not None:
            raise UserError(f"{where}: {fault}")


def _check_target_shape(where: str, task: Task, y: np.ndarray, count: int) -> None:
    scored = () if task.stream else (task.scored,)
    wide = (task.target_form.targets,)
    fitting = [(count, *scored)] if wide == (1,) else []
    fitting += [(count,)] if wide == (1,) and task.scored == 1 else []
    if task.target_form.kind != "classes":
        fitting.append((count, *scored, *wide))
    if y.shape not in fitting:
        raise UserError(f"{where}: targets have shape {y.shape}; expected {fitting[0]}")


def _check_values(where: str, scored: np.ndarray, classes: int | None) -> None:
    """The targets that are scored: there are some, and they are classes where those are given."""
    if not scored.size:
        what = UNSCORED if scored.dtype.kind in "iu" else "NaN"
        raise UserError(f"{where}: all targets are {what}; nothing is scored")
    if classes is not None and (scored.min() < 0 or scored.max() >= classes):
        raise UserError(
            f"{where}: targets from {scored.min():g} to {scored.max():g}; expected 0 to "
            f"{classes - 1}, or {UNSCORED} where a step is not scored"
        )


def _check_lengths(where: str, task: Task, lengths: np.ndarray, y: np.ndarray) -> None:
    if lengths.dtype != np.int64 or lengths.min() < 1 or lengths.max() > task.length:
        raise UserError(
            f"{where}: lengths are {lengths.dtype} from {lengths.min()} to {lengths.max()}; "
            f"expected int64 from 1 to {task.length}"
        )
    if y.shape[1:2] == (task.length,):
        beyond = np.arange(task.length) >= lengths[:, None]
        classes = y.dtype.kind in "biu"
        if (y[beyond] != UNSCORED if classes else ~np.isnan(y[beyond])).any():
            raise UserError(
                f"{where}: steps after a sequence's end have targets; expected "
                f"{UNSCORED if classes else 'NaN'} there"
            )
