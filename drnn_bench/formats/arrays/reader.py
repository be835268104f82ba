"""numpy's files: an .npz archive, or .npy files beside one another.

Arrays are known by their names: x and y (also data and labels, inputs and targets, ...), with a
word for the split or without: x_train, test_y. `lengths` [N] says where each sequence ends; without
it, a sequence ends where only NaN follows, in all channels. `split` [N] says to which split it
belongs. Nothing pickled is read.

Legend: N sequences, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError, nearest
from drnn_bench.formats.arrays.numpy_files import StoredArray, npy_arrays, npz_arrays
from drnn_bench.formats.files import by_split, named_split, some
from drnn_bench.formats.limits import check_count
from drnn_bench.formats.numbers import check_kind
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import (
    INPUTS,
    TARGETS,
    Form,
    Part,
    Sequences,
    joined,
    split_called,
)

OPTIONS = ("target", "missing", "real")
OBJECTS = {  # what to do with an array of Python objects, by its role
    "x": "save sequences of unequal length padded with NaN, or with an array `lengths`",
    "y": "save labels as words or whole numbers: y.astype(str) or y.astype(int)",
}
ROLES = dict.fromkeys(INPUTS, "x") | {"lengths": "lengths", "length": "lengths", "split": "split"}


Arrays = dict[str, StoredArray]  # by name; or, of one split, by role: x, y, lengths, split


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """An .npz, several named by their splits, or the .npy files of one folder."""
    if len({path.suffix.lower() for path in files}) > 1:
        raise UserError(f"{place} holds .npz and .npy files: name one of the files")
    if files[0].suffix.lower() == ".npy":
        folder = place.parent if place in files else place
        stored = [(folder, None, npy_arrays(folder, place))]
    else:
        stored = [(path, split, npz_arrays(path)) for path, split in by_split(place, files)]
    parts, notes = [], []
    for path, split, arrays in stored:
        by_role = _by_role(path, arrays, options.target)
        for inner, chosen in by_role.items():
            parts.append(_part(chosen, inner or split, options.real))
            notes += _warnings(chosen, parts[-1])
        used = [array for chosen in by_role.values() for array in chosen.values()]
        if others := [name for name, array in arrays.items() if array not in used]:
            notes.append(f"{path}: arrays not read: {some(sorted(others))}")
    return joined(parts, Form("arrays"), notes, options.real)


def _by_role(path: Path, arrays: Arrays, target: str | None) -> dict[str | None, Arrays]:
    """Of each split the arrays by their role; the split is None where names tell none."""
    roles = ROLES | ({target.lower(): "y"} if target else dict.fromkeys(TARGETS, "y"))
    of_split: dict[str | None, Arrays] = {}
    for name, array in arrays.items():
        rest, split = named_split(name)
        rest, split = (target.lower(), None) if target and name == target else (rest, split)
        if role := roles.get(rest):
            chosen = of_split.setdefault(split, {})
            if role in chosen:
                what = "choose with target=NAME" if role == "y" else "leave one out"
                raise UserError(f"{array.where} could be {role}, as {chosen[role].where}; {what}")
            chosen[role] = array
    of_split = {split: chosen for split, chosen in of_split.items() if chosen.keys() & {"x", "y"}}
    there = some(f"{name} {array.shape}" for name, array in arrays.items())
    if target and not any("y" in chosen for chosen in of_split.values()):
        raise UserError(f"{path}: no array {target!r}: {nearest(target, list(arrays))}")
    if not of_split:
        raise UserError(
            f"{path}: expected arrays x and y, or x_train and so on; there are: {there}; name the "
            f"labels with target=NAME"
        )
    if None in of_split and len(of_split) > 1:
        raise UserError(f"{path}: some arrays name their split and some do not; there are: {there}")
    for split, chosen in of_split.items():
        if "y" not in chosen:
            raise UserError(
                f"{path}: no labels for {chosen['x'].where}; there are: {there}; name the labels "
                f"with target=NAME"
            )
        if "x" not in chosen:
            chosen["x"] = _input(path, arrays, chosen["y"], split)
    return of_split


def _input(path: Path, arrays: Arrays, y: StoredArray, split: str | None) -> StoredArray:
    """The one array that can be the sequences of these labels."""
    could = [
        name
        for name, array in arrays.items()
        if array is not y
        and array.shape[:1] == y.shape[:1]
        and array.dtype.kind in "iuf"
        and len(array.shape) in (2, 3)
        and named_split(name)[1] == split
    ]
    if len(could) != 1:
        there = some(f"{name} {array.shape}" for name, array in arrays.items())
        which = f"any of {some(could)} could be" if could else "no array can be"
        raise UserError(
            f"{path}: {which} the sequences for {y.where}; name them x, of shape (N, T) or "
            f"(N, T, channels); there are: {there}"
        )
    return arrays[could[0]]


def _part(by_role: Arrays, split: str | None, real: bool) -> Part:
    stored_x, stored_y = by_role["x"], by_role["y"]
    stored_x.check(OBJECTS["x"])
    _check_shapes(stored_x, stored_y, real)
    check_count(stored_x.shape[0], stored_x.where)
    x, y = stored_x.read(OBJECTS["x"]), stored_y.read(OBJECTS["y"])
    x = x if x.ndim == 3 else x[..., None]
    y = y[..., 0] if y.ndim > 1 and y.shape[-1] == 1 else y
    where = [f"{stored_x.where}[{i}]" for i in range(len(x))]
    rows, per_step, padded = x, y.shape[1:2] == x.shape[1:2], "lengths" not in by_role
    if not padded:
        lengths = _lengths(by_role["lengths"], x)
        rows = [row[:length] for row, length in zip(x, lengths.tolist(), strict=True)]
        y = y[np.arange(x.shape[1]) < lengths[:, None]] if per_step else y
    elif per_step:
        y = y.reshape(-1, *y.shape[2:])
    splits = split
    if "split" in by_role:
        stored = by_role["split"]
        words = _for_each(stored, x).tolist()
        splits = [split_called(word, f"{stored.where}[{i}]") for i, word in enumerate(words)]
    return Part(rows, y, where, splits, per_step, padded=padded)


def _check_shapes(x: StoredArray, y: StoredArray, real: bool) -> None:
    """Refuses arrays that do not fit each other, before their values are read."""
    if len(x.shape) not in (2, 3):
        raise UserError(f"{x.where}: has shape {x.shape}, expected (N, T) or (N, T, channels)")
    check_kind(x.dtype, x.where)
    if len(x.shape) == 3 and x.shape[1] == 1 < x.shape[2]:
        raise UserError(
            f"{x.where}: has shape {x.shape}, sequences of one step; its channels come first: save "
            f"x.transpose(0, 2, 1)"
        )
    labels = y.shape[:-1] if len(y.shape) > 1 and y.shape[-1] == 1 else y.shape
    wide = real and len(labels) > 1 and labels[:-1] in (x.shape[:1], x.shape[:2])
    if labels not in (x.shape[:1], x.shape[:2]) and not wide:
        one_hot = len(labels) > 1 and labels[:-1] in (x.shape[:1], x.shape[:2])
        raise UserError(
            f"{y.where}: has shape {y.shape}, but {x.where} {x.shape}; expected ({x.shape[0]},), a "
            f"label each, or {x.shape[:2]}, one a step"
            + ("; of one-hot labels save y.argmax(-1)" if one_hot else "")
        )


def _warnings(by_role: Arrays, part: Part) -> Iterator[str]:
    """What may have been meant otherwise."""
    x, y = by_role["x"], by_role["y"]
    _, steps, *channels = x.shape
    if channels and channels[0] > steps:
        yield (
            f"{x.where}: {steps} steps of {channels[0]} channels; if the channels come first in "
            f"it, save x.transpose(0, 2, 1)"
        )
    whole = part.per_step and part.y.size == len(part.x) * steps
    if whole and _one_hot(part.y.reshape(-1, steps)):
        yield (
            f"{y.where}: one 1 in each row and else 0, read as a label for each step; if the rows "
            f"are one-hot labels of sequences, save y.argmax(-1)"
        )


def _one_hot(y: np.ndarray) -> bool:
    if y.dtype.kind not in "biuf":
        return False
    return bool(((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all())


def _lengths(stored: StoredArray, x: np.ndarray) -> np.ndarray:
    lengths = _for_each(stored, x)
    if lengths.dtype.kind not in "iu":
        raise UserError(f"{stored.where}: holds {lengths.dtype}, expected whole numbers")
    wrong = np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))
    if len(wrong):
        raise UserError(
            f"{stored.where}[{wrong[0]}]: {lengths[wrong[0]]}, expected 1 to {x.shape[1]} steps"
        )
    return lengths


def _for_each(stored: StoredArray, x: np.ndarray) -> np.ndarray:
    if stored.shape != x.shape[:1]:
        raise UserError(f"{stored.where}: has shape {stored.shape}, expected ({len(x)},)")
    return stored.read("save whole numbers or words")
