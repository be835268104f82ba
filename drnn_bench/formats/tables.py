"""Tables, csv or parquet, in one of three forms.

wide   a row is a sequence: its numeric columns, in their order, are the steps
lists  a row is a sequence: a column of lists holds its steps; a list of lists, or several columns
       of lists, its channels
long   a row is a step: an id column says of which sequence, a time column when, and the numeric
       columns are the channels

Legend: N sequences, T steps, C channels, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.columns import Table, as_numpy, is_list, open_table
from drnn_bench.formats.files import by_split, some
from drnn_bench.formats.numbers import exact, side_by_side, steps_of
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import Form, Part, Sequences, joined, split_called

OPTIONS = ("target", "id", "time", "ignore", "group", "missing")


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """One table, or several named by their splits: train.csv, test.csv."""
    parts, notes, first = [], [], None
    for path, split in by_split(place, files):
        table = open_table(path, options.target)
        form, columns, ignored = _form(table)
        first = first or (path, form, columns)
        if (form, columns) != first[1:]:
            raise UserError(f"{path}: its columns are not those of {first[0]}, in the same order")
        if ignored:
            notes.append(f"{path}: columns not read: {some(ignored)}")
        part = form(table, columns)
        parts.append(part if part.split else replace(part, split=split))
    if first[1] is _long:
        parts = _labelled_once(parts)
    return joined(parts, Form("wide"), notes)


def _form(table: Table):
    """How a table is read, the columns that make its sequences, and those that are left."""
    roles = table.roles
    columns = tuple(name for name in roles.data if table.is_series(name))
    form = _lists
    if not columns:
        columns = tuple(name for name in roles.data if not table.is_prose(name))
        form = _long if roles.id and roles.time else _wide
    if form is _wide and roles.time:
        raise UserError(
            f"{table.path}: a column {roles.time!r} but none that says of which sequence a row "
            f"is a step; call it id"
        )
    if not columns:
        raise UserError(f"{table.path}: no numbers beside {roles.target!r}: {some(roles.data)}")
    used = {*columns, *((roles.id, roles.time) if form is _long else ())}
    rest = (*roles.ignored, roles.id, roles.time, *roles.data)
    return form, columns, [name for name in rest if name is not None and name not in used]


def _wide(table: Table, columns: Sequence[str]) -> Part:
    x, offset = steps_of([table.numbers(name) for name in columns])
    where = [table.where(row) for row in range(table.rows)]
    y = table.labels(table.roles.target)
    return Part(x, y, where, _splits(table), padded=True, offset=offset)


def _lists(table: Table, columns: Sequence[str]) -> Part:
    channels = [_rows_of_lists(table, name) for name in columns]
    where = [table.where(row) for row in range(table.rows)]
    for row, parts in enumerate(zip(*channels, strict=True)):
        if len({len(part) for part in parts}) > 1:
            raise UserError(
                f"{where[row]}: lists of {some(str(len(part)) for part in parts)} steps in "
                f"{some(columns)}; a column is a channel, and all need the same number"
            )
    exactly = [exact(rows, rows[0].shape[1]) for rows in channels]  # a column has its own type
    x = [np.concatenate(parts, 1) for parts in zip(*(rows for rows, _ in exactly), strict=True)]
    offset = tuple(number for _, offsets in exactly for number in offsets)
    target = table.roles.target
    if not table.is_lists(target):
        return Part(x, table.labels(target), where, _splits(table), offset=offset)
    labels, lengths = table.flat(table.column(target), target)
    if is_list(labels.type):
        raise UserError(f"{table.path}: column {target!r} holds lists of lists, expected labels")
    for row, (series, length) in enumerate(zip(x, lengths, strict=True)):
        if len(series) != length:
            raise UserError(f"{where[row]}: {len(series)} steps but {length} labels in {target!r}")
    y = as_numpy(labels)
    return Part(x, y, where, _splits(table), per_step=True, offset=offset)


def _rows_of_lists(table: Table, name: str) -> list[np.ndarray]:
    """The series [T, C] in a column, views of one array."""
    values, lengths = table.flat(table.column(name), name)
    channels = 1
    if is_list(values.type):
        values, widths = table.flat(values, name, lengths)
        channels = widths[0] if len(widths) else 1
        if (widths != channels).any():
            step = np.flatnonzero(widths != channels)[0]
            row = np.searchsorted(np.cumsum(lengths), step, "right")
            raise UserError(
                f"{table.where(row)}: {widths[step]} channels in {name!r}, the first step has "
                f"{channels}; all steps need the same"
            )
    return np.split(as_numpy(values).reshape(-1, max(channels, 1)), np.cumsum(lengths)[:-1])


def _long(table: Table, columns: Sequence[str]) -> Part:
    """The labels are one a step here."""
    roles = table.roles
    ids, time = table.values(roles.id), _time(table, roles.time)
    names, first, number = np.unique(ids, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))  # sequences in the order in which the file has them
    number, names = place[number], names[np.argsort(first)]
    order = np.lexsort((time, number))
    number, time = number[order], time[order]
    again = np.flatnonzero((number[1:] == number[:-1]) & (time[1:] == time[:-1]))
    if len(again):
        row = order[again[0] + 1]
        raise UserError(
            f"{table.where(row)}: a second row of {roles.id} {ids[row]} at {roles.time} "
            f"{time[again[0]]}; a step is one row"
        )
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    x, offset = side_by_side([table.numbers(name) for name in columns])
    split = _splits(table)
    if split:
        split = np.array(split)[order]
        wrong = np.flatnonzero(split != split[starts][number])
        if len(wrong):
            raise UserError(
                f"{table.where(order[wrong[0]])}: {roles.id} {ids[order[wrong[0]]]} is in "
                f"{split[wrong[0]]} and in {split[starts][number][wrong[0]]}; expected one split"
            )
        split = split[starts].tolist()
    return Part(
        x=np.split(x[order], starts[1:]),
        y=table.labels(roles.target)[order],
        where=[f"{table.path} {roles.id} {name}" for name in names.tolist()],
        split=split,
        per_step=True,
        offset=offset,
    )


def _time(table: Table, name: str) -> np.ndarray:
    """What can be put in order: numbers or dates."""
    if not table.kind(name).startswith(("time", "date")):
        table.numbers(name)
    time = table.values(name)
    missing = np.flatnonzero(time != time)  # NaN
    if len(missing):
        raise UserError(f"{table.where(missing[0])}: column {name!r} is NaN, expected a time")
    return time


def _labelled_once(parts: Sequence[Part]) -> Sequence[Part]:
    """One label for each sequence, where it is the same at all steps of each."""
    once = []
    for part in parts:
        lengths = [len(series) for series in part.x]
        y = part.y[np.cumsum(lengths) - lengths]
        if (part.y != np.repeat(y, lengths)).any():
            return parts
        once.append(replace(part, y=y, per_step=False))
    return once


def _splits(table: Table) -> list[str] | None:
    """The split of each row, where a column tells it."""
    name = table.roles.split
    if name is None:
        return None
    words = table.values(name).tolist()
    return [split_called(word, table.where(row)) for row, word in enumerate(words)]
