"""Tables, csv, tsv or parquet, in one of three forms.

wide   a row is a sequence: its numeric columns are the steps, in the order of the numbers in their
       names, or of the file; where the names have several stems, each is a channel
lists  a row is a sequence: a column of lists holds its steps; a list of lists, or several columns
       of lists, its channels
long   a row is a step: an id column says of which sequence, a time column when, and the numeric
       columns are the channels

Legend: N sequences, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.columns import (
    Table,
    as_numbers,
    as_numpy,
    is_list,
)
from drnn_bench.formats.files import by_split, some
from drnn_bench.formats.forms import Plan, plan
from drnn_bench.formats.long_table import labelled_once, read_long
from drnn_bench.formats.numbers import exact, steps_of
from drnn_bench.formats.options import Options
from drnn_bench.formats.room import check_count
from drnn_bench.formats.sequences import (
    Form,
    Part,
    Sequences,
    joined,
)
from drnn_bench.formats.table_files import open_table

OPTIONS = ("target", "id", "time", "ignore", "group", "missing")


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """One table, or several named by their splits: train.csv, test.csv."""
    parts, notes, ignored, first = [], [], {}, None
    ends: list[tuple] = []
    for path, split in by_split(place, files):
        table = open_table(path, options)
        planned = plan(table)
        first = first or (path, planned)
        if (planned.form, planned.layout) != (first[1].form, first[1].layout):
            raise UserError(f"{path}: its columns are not those of {first[0]}, in the same order")
        part, more = _read(table, planned)
        parts.append(part if part.split else replace(part, split=split))
        left_out = dict((*planned.ignored, *more))
        if left_out:
            said = [f"{name} ({why})" for name, why in left_out.items()]
            notes.append(f"{path}: columns not read: {some(said, 20)}")
        ignored |= left_out
        if planned.form == "long":
            ends += _ends(table)
    planned = first[1]
    if planned.form == "long":
        parts = labelled_once(parts)
    return joined(parts, _shown(table, planned, ends, ignored), notes)


def _read(table: Table, planned: Plan) -> tuple[Part, list[tuple[str, str]]]:
    if planned.form == "long":
        return read_long(table, planned.columns)
    part = _lists(table, planned.columns) if planned.form == "lists" else _wide(table, planned)
    if table.roles.group:
        part = replace(part, group=table.named(table.roles.group).astype(str).tolist())
    return part, []


def _shown(table: Table, planned: Plan, ends: Sequence[tuple], ignored: dict[str, str]) -> Form:
    """How the tables were understood; `ends` are times with what the files call them."""
    left_out = tuple(ignored.items())
    if planned.form == "lists":
        return Form("arrays", ignored=left_out)
    if planned.form == "long":
        first, last = min(ends, key=lambda end: end[0]), max(ends, key=lambda end: end[0])
        ids, time = "+".join(table.roles.id), table.roles.time
        return Form("long", planned.columns, first[1], last[1], left_out, ids, time)
    steps = planned.layout.channels[0]
    return Form("wide", planned.layout.names, steps[0], steps[-1], left_out)


def _ends(table: Table) -> list[tuple]:
    """The first time and the last, each as a number and as the file has it."""
    name = table.roles.time
    time = table.times(name)
    return [(time[row], table.shown(name, row)) for row in (time.argmin(), time.argmax())]


def _wide(table: Table, planned: Plan) -> Part:
    check_count(table.rows, table.path)
    channels = [
        steps_of([table.numbers(n, masked=True) for n in names])
        for names in planned.layout.channels
    ]
    x = np.concatenate([values for values, _ in channels], axis=2)
    offset = tuple(number for _, offsets in channels for number in offsets)
    where = [table.where(row) for row in range(table.rows)]
    y = table.labels(table.roles.target)
    return Part(x, y, where, table.splits(), padded=True, offset=offset)


def _lists(table: Table, columns: Sequence[str]) -> Part:
    check_count(table.rows, table.path)
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
        return Part(x, table.labels(target), where, table.splits(), offset=offset)
    labels, lengths = table.flat(table.column(target), target)
    if is_list(labels.type):
        raise UserError(f"{table.path}: column {target!r} holds lists of lists, expected labels")
    for row, (series, length) in enumerate(zip(x, lengths, strict=True)):
        if len(series) != length:
            raise UserError(f"{where[row]}: {len(series)} steps but {length} labels in {target!r}")
    y = as_numpy(labels)
    return Part(x, y, where, table.splits(), per_step=True, offset=offset)


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
    return np.split(as_numbers(values).reshape(-1, max(channels, 1)), np.cumsum(lengths)[:-1])
