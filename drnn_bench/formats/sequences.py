"""Sequences with their labels, and the checks that hold whatever file they come from.

Legend: N sequences, T steps, C channels.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import SPLIT_WORDS

# Names under which files keep the labels, the surest first, and the sequences.
TARGETS = ("target", "targets", "label", "labels", "class", "y")
INPUTS = ("x", "input", "inputs", "data", "images")


@dataclass(frozen=True)
class Form:
    """How a file was understood, for the user to see."""

    name: str  # wide, long, arrays, ts, ucr, idx, recordings
    channel_names: tuple[str, ...] = ()  # [C]; none where the file has none
    first_step: str | int | float | None = None  # as the file calls it; None where it has no names
    last_step: str | int | float | None = None
    ignored: tuple[tuple[str, str], ...] = ()  # columns that were not read, each with the reason


@dataclass(frozen=True)
class Sequences:
    """What was found. Arrays may be views of one another, and read-only."""

    x: list[np.ndarray]  # each float32 [T, C], T and C at least 1, finite; C is the same in all
    y: list  # for each: a label, str or int (of one kind in all), or an array [T] of them
    split: list[str | None]  # train, validation, test; all None where the files do not say
    where: list[str]  # for messages: "GunPoint_TRAIN.ts row 12"; rows are counted from 1
    form: Form
    notes: tuple[str, ...] = ()  # what the user should be told
    per_step: bool = False  # y holds a label for each step
    group: list[str] | None = None  # of each: sequences of one group belong in one split

    @property
    def recordings(self) -> bool:
        """Whether they are long recordings, which may be cut into segments."""
        return self.form.name == "recordings"


@dataclass(frozen=True)
class Part:
    """Sequences as a reader finds them in one file, not yet checked."""

    x: np.ndarray | list[np.ndarray]  # [N, T, C], or N of [T, C]; any kind of number
    y: np.ndarray  # [N]; where per_step all steps of all sequences, one after another
    where: list[str]
    split: str | list[str] | None = None  # of all of them, or of each
    per_step: bool = False
    group: list[str] | None = None  # of each


def joined(parts: Sequence[Part], form: Form, notes: Sequence[str] = ()) -> Sequences:
    """The parts as one, checked: finite numbers, labels that are labels, one number of channels."""
    x = [row for part in parts for row in float32(part.x, part.where)]  # rows are views
    where = [name for part in parts for name in part.where]
    split = [
        name
        for part in parts
        for name in (part.split if isinstance(part.split, list) else [part.split] * len(part.x))
    ]
    _check(x, where)
    per_step = {part.per_step for part in parts}
    if len(per_step) > 1:
        one = next(part.where[0] for part in parts if part.per_step)
        other = next(part.where[0] for part in parts if not part.per_step)
        raise UserError(f"{one} has a label for each step, {other} one label; they must agree")
    if per_step == {True}:
        ends = np.cumsum([len(row) for row in x])
        y = _labels([part.y for part in parts], lambda i: where[np.searchsorted(ends, i, "right")])
        y = np.split(y, ends[:-1])
    else:
        y = _labels([part.y for part in parts], where.__getitem__).tolist()
    group = [name for part in parts for name in part.group or ()]
    return Sequences(x, y, split, where, form, tuple(notes), per_step == {True}, group or None)


def float32(x: np.ndarray | list[np.ndarray], where: Sequence[str]) -> Sequence[np.ndarray]:
    """The same as float32, copied only where it is not; what is too great becomes infinite."""
    if isinstance(x, list):
        return [float32(row, [name]) for row, name in zip(x, where, strict=True)]
    check_kind(x.dtype, where[0] if where else "x")
    with np.errstate(over="ignore"):
        return x.astype(np.float32, copy=False)


def check_kind(dtype: np.dtype, what: str) -> None:
    """Refuses series of anything but whole and real numbers."""
    if dtype.kind not in "iuf":
        raise UserError(f"{what}: holds {dtype}, expected whole or real numbers")


def split_called(word: object, where: str) -> str:
    """A split by one of its names."""
    split = SPLIT_WORDS.get(str(word).strip().lower())
    if split is None:
        raise UserError(f"{where}: split {word!r} is unknown, expected train, validation or test")
    return split


def _check(x: Sequence[np.ndarray], where: Sequence[str]) -> None:
    for row, name in zip(x, where, strict=True):
        if not len(row):
            raise UserError(f"{name}: has no steps; leave it out")
        if not row.shape[1] or row.shape[1] != x[0].shape[1]:
            raise UserError(
                f"{name}: {row.shape[1]} channels, {x[0].shape[1]} in {where[0]}; all sequences "
                f"need the same, at least one"
            )
        if not np.isfinite(row).all():
            step, channel = np.argwhere(~np.isfinite(row))[0]
            which = f", channel {channel + 1}" if row.shape[1] > 1 else ""
            raise UserError(
                f"{name}: {row[step, channel]} at step {step + 1}{which}, expected finite numbers "
                f"(float32); mend it or leave the sequence out"
            )


def _labels(parts: Sequence[np.ndarray], where) -> np.ndarray:
    """Whole numbers where all labels are such, be they written as text, else names."""
    for part in parts:
        if part.dtype.kind not in "iufUS":
            raise UserError(f"{where(0)}: labels are {part.dtype}, expected whole numbers or text")
    y = np.concatenate(parts)
    # The distinct ones are few; NaN equals itself here.
    distinct, first, place = np.unique(y, return_index=True, return_inverse=True)
    if distinct.dtype.kind in "US":
        try:
            named = [label_text(v) for v in distinct.tolist()]
        except UnicodeDecodeError:
            raise UserError(f"{where(0)}: labels are bytes that are not UTF-8") from None
        if "" in named:
            raise UserError(f"{where(first[named.index('')])}: the label is missing")
        if all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", name) for name in named):  # no 007
            return np.array(named, dtype=np.int64)[place]
        numbers = _numbers(named)
        if numbers is None:
            return np.array(named)[place]
        distinct = numbers
    if distinct.dtype.kind == "f":
        if np.isnan(distinct).any():
            raise UserError(f"{where(first[np.isnan(distinct)][0])}: the label is missing (NaN)")
        real = (np.abs(distinct) >= 2**53) | (distinct != np.round(distinct))
        if real.any():
            raise UserError(
                f"{where(first[real][0])}: the label is {distinct[real][0]:g}; classification "
                f"needs labels, whole numbers or names, not real numbers"
            )
        distinct = distinct.astype(np.int64)
    return distinct[place]


def label_text(label: str | bytes) -> str:
    """A label as it is compared: without blanks around it, in Unicode's composed form (NFC), since
    a Mac writes the names of files in another."""
    text = label.decode() if isinstance(label, bytes) else label
    return unicodedata.normalize("NFC", text).strip()


def _numbers(named: Sequence[str]) -> np.ndarray | None:
    """Labels written as 1.0 or 0.25; None where one is a name (or 007, which is one too)."""
    number = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?(e[-+]?[0-9]+)?", re.IGNORECASE)
    try:
        return np.array([float(name if number.fullmatch(name) else "no") for name in named])
    except ValueError:
        return None
