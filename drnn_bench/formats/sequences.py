"""Sequences with their labels, and the checks that apply to files of every kind.

Legend: N sequences, T steps, C channels, D real targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import SPLIT_WORDS
from drnn_bench.formats.labels import UNSCORED, labels_of, targets_of
from drnn_bench.formats.numbers import (
    LARGEST,
    Offsets,
    check_kind,
    exact,
    moved,
)

# Names of columns and arrays that hold labels, in order of preference, and sequences.
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
    id: str | None = None  # the column (or columns, A+B) that says of which sequence a row is
    time: str | None = None  # and the one that orders its steps
    target_names: tuple[str, ...] = ()  # [D] of real targets; none where the file has none

    def channel(self, number: int) -> str:
        """A channel, counted from 0, as messages and facts call it: by its name, else from 1."""
        return self.channel_names[number] if self.channel_names else str(number + 1)


@dataclass(frozen=True)
class Sequences:
    """What was sequences. Arrays may be views of one another, and read-only."""

    x: list[np.ndarray]  # each [T, C] of whole or real numbers, T and C at least 1; NaN: missing
    # For each a label, str or int (of one kind in all), or an array [T] of them; where targets are
    # real, float64 [D], or [T, D] with NaN where a step has none.
    y: list
    split: list[str | None]  # train, validation, test; all None where the files do not say
    where: list[str]  # for messages: "GunPoint_TRAIN.ts row 12"; rows are counted from 1
    form: Form
    notes: tuple[str, ...] = ()  # what the user should be told
    per_step: bool = False  # y holds a label for each step; see labels.is_scored
    real: bool = False  # y holds real numbers
    group: list[str] | None = None  # of each: sequences of one group belong in one split
    offset: Offsets = ()  # of each channel: the file's numbers are those in x and so much more

    @property
    def recordings(self) -> bool:
        """Whether they are long recordings, which may be cut into segments."""
        return self.form.name == "recordings"


@dataclass(frozen=True)
class Part:
    """Sequences as a reader finds them in one file, not yet checked."""

    x: np.ndarray | list[np.ndarray]  # [N, T, C], or N of [T, C]; any kind of number
    # [N], or [N, D] of real targets; where per_step all steps of all sequences, one after another
    y: np.ndarray
    where: list[str]
    split: str | Sequence[str | None] | None = None  # of all of them, or of each
    per_step: bool = False
    group: list[str] | None = None  # of each
    padded: bool = False  # a sequence ends where only missing values follow, in all channels
    offset: Offsets | None = None  # of each channel, where the reader has subtracted it


def joined(
    parts: Sequence[Part], form: Form, notes: Sequence[str] = (), real: bool = False
) -> Sequences:
    """The parts as one, checked: numbers that are not too great, labels that are labels (numbers,
    where targets are `real`), the same channels in all. Values may be missing (NaN)."""
    per_step = {part.per_step for part in parts}
    if len(per_step) > 1:
        stepwise = next(part.where[0] for part in parts if part.per_step)
        whole = next(part.where[0] for part in parts if not part.per_step)
        raise UserError(f"{stepwise} has a label for each step, {whole} one label; they must agree")
    where = [name for part in parts for name in part.where]
    split = [
        name
        for part in parts
        for name in (
            [part.split] * len(part.x)
            if part.split is None or isinstance(part.split, str)
            else part.split
        )
    ]
    _check([row for part in parts for row in part.x], where, form)
    whole = [len(row) for part in parts for row in part.x]
    parts = [_without_padding(part) if part.padded else part for part in parts]
    x, offset = _of_one_offset(parts)
    if cut := sum(len(row) < full for row, full in zip(x, whole, strict=True)):
        notes = (*notes, f"{cut:,} of {len(x):,} sequences end in missing values and are cut there")
    labels = [part.y for part in parts]
    if per_step == {True}:
        ends = np.cumsum([len(row) for row in x])
        read = targets_of if real else labels_of
        y = read(labels, lambda i: where[np.searchsorted(ends, i, "right")])
        y = np.split(y, ends[:-1])
    elif real:
        targets_ND = targets_of(labels, where.__getitem__)
        if missing := np.argwhere(np.isnan(targets_ND)).tolist():
            raise UserError(
                f"{where[missing[0][0]]}: the target is missing; leave the sequence out"
            )
        y = list(targets_ND)
    else:
        y = labels_of(labels, where.__getitem__).tolist()
        if UNSCORED in y:
            raise UserError(
                f"{where[y.index(UNSCORED)]}: the label is {UNSCORED}, which marks single steps as "
                f"not scored; a sequence needs a class"
            )
    return Sequences(
        x=x,
        y=y,
        split=split,
        where=where,
        form=form,
        notes=tuple(notes),
        per_step=per_step == {True},
        real=real,
        group=[name for part in parts for name in part.group or ()] or None,
        offset=offset,
    )


def missing_text(sequences: Sequences) -> str | None:
    """A message on missing values: where the first is, and how many there are. None where there are
    none."""
    counts = [int(np.isnan(x).sum()) if x.dtype.kind == "f" else 0 for x in sequences.x]
    first = next((i for i, count in enumerate(counts) if count), None)
    if first is None:
        return None
    step, channel = np.argwhere(np.isnan(sequences.x[first]))[0]
    which = (
        f", channel {sequences.form.channel(channel)}" if sequences.x[first].shape[1] > 1 else ""
    )
    return (
        f"{sequences.where[first]}: no value at step {step + 1}{which}; values missing: "
        f"{sum(counts):,}, in {sum(map(bool, counts)):,} of {len(counts):,} sequences"
    )


def split_called(word: object, where: str) -> str:
    """The split that a word means. Raises UserError for a word that is unknown."""
    split = SPLIT_WORDS.get(str(word).strip().lower())
    if split is None:
        raise UserError(f"{where}: split {word!r} is unknown, expected train, validation or test")
    return split


def _check(x: Sequence[np.ndarray], where: Sequence[str], form: Form) -> None:
    for row, name in zip(x, where, strict=True):
        check_kind(row.dtype, name)
        if not len(row):
            raise UserError(f"{name}: has no steps; leave it out")
        if not row.shape[1] or row.shape[1] != x[0].shape[1]:
            raise UserError(
                f"{name}: {row.shape[1]} channels, {x[0].shape[1]} in {where[0]}; all sequences "
                f"need the same, at least one"
            )
        if row.dtype.kind != "f":
            continue
        great = np.isinf(row) if row.dtype.itemsize <= 4 else np.abs(row) > LARGEST
        if great.any():
            step, channel = np.argwhere(great)[0]
            which = f", channel {form.channel(channel)}" if row.shape[1] > 1 else ""
            raise UserError(
                f"{name}: {row[step, channel]:g} at step {step + 1}{which}, expected numbers up to "
                f"{LARGEST:.2g}; correct it or leave the sequence out"
            )


def _without_padding(part: Part) -> Part:
    """Each sequence up to the last step that has a value."""
    if isinstance(part.x, np.ndarray) and part.x.dtype.kind != "f":
        return part
    there = [_has_value(row) for row in part.x]
    lengths = [len(steps) - int(steps[::-1].argmax()) if steps.any() else 0 for steps in there]
    if 0 in lengths:
        raise UserError(f"{part.where[lengths.index(0)]}: every value is missing; leave it out")
    if all(len(steps) == length for steps, length in zip(there, lengths, strict=True)):
        return part
    y = part.y
    if part.per_step:
        inside = [np.arange(len(s)) < length for s, length in zip(there, lengths, strict=True)]
        y = y[np.concatenate(inside)]
    rows = [row[:length] for row, length in zip(part.x, lengths, strict=True)]
    return replace(part, x=rows, y=y)


def _has_value(row: np.ndarray) -> np.ndarray:
    """Whether each step [T] of a sequence [T, C] has a value in any channel."""
    if row.dtype.kind != "f":
        return np.ones(len(row), bool)
    return np.logical_or.reduce(~np.isnan(row), axis=1)


def _of_one_offset(parts: Sequence[Part]) -> tuple[list[np.ndarray], Offsets]:
    """The sequences of all parts minus the same offsets; the offsets."""
    channels = next((row.shape[1] for part in parts for row in part.x), 0)
    series = [exact(p.x, channels) if p.offset is None else (p.x, p.offset) for p in parts]
    common = tuple(
        next((offset for offset in of_channel if offset), 0)
        for of_channel in zip(*(offsets for _, offsets in series), strict=True)
    )
    return [moved(row, offsets, common) for rows, offsets in series for row in rows], common
