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
from drnn_bench.formats.files import by_split, some
from drnn_bench.formats.limits import check_count
from drnn_bench.formats.numbers import exact, steps_of
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import (
    Form,
    Part,
    Sequences,
    joined,
)
from drnn_bench.formats.tables.form import TableForm, table_form
from drnn_bench.formats.tables.long_form import labelled_once, read_long
from drnn_bench.formats.tables.opening import open_table
from drnn_bench.formats.tables.table import (
    Table,
    as_numbers,
    as_numpy,
    is_list,
)

OPTIONS = ("target", "id", "time", "ignore", "group", "missing", "real")


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """One table, or several named by their splits: train.csv, test.csv."""
    tables, parts, notes, ignored = [], [], [], {}
    for path, split in by_split(place, files):
        table = open_table(path, options)
        form = table_form(table)
        tables.append((table, form))
        first_table, first = tables[0]
        if (form.name, form.layout) != (first.name, first.layout):
            raise UserError(
                f"{path}: its columns are not those of {first_table.path}, in the same order"
            )
        part, more = _read(table, form)
        parts.append(part if part.split else replace(part, split=split))
        left_out = dict((*form.ignored, *more))
        if left_out:
            reasons = [f"{name} ({why})" for name, why in left_out.items()]
            notes.append(f"{path}: columns not read: {some(reasons, 20)}")
        ignored |= left_out
    if tables[0][1].name == "long":
        parts = labelled_once(parts)
    return joined(parts, _form(tables, ignored), notes, options.real)


def _read(table: Table, form: TableForm) -> tuple[Part, list[tuple[str, str]]]:
    if form.name == "long":
        return read_long(table, form.columns)
    part = _lists(table, form.columns) if form.name == "lists" else _wide(table, form)
    if table.roles.group:
        part = replace(part, group=table.named(table.roles.group).astype(str).tolist())
    return part, []


def _form(tables: Sequence[tuple[Table, TableForm]], ignored: dict[str, str]) -> Form:
    """How the tables were understood; `ignored` are columns, each with the reason."""
    roles = tables[-1][0].roles
    targets = roles.targets if roles.real else ()
    left_out = tuple(ignored.items())
    table, form = tables[-1]
    if form.name == "lists":
        return Form("arrays", ignored=left_out, target_names=targets)
    if form.name == "long":
        times = [time for one, _ in tables for time in _first_and_last(one)]
        first, last = min(times, key=lambda time: time[0]), max(times, key=lambda time: time[0])
        ids, time = "+".join(table.roles.id), table.roles.time
        return Form("long", form.columns, first[1], last[1], left_out, ids, time, targets)
    steps = form.layout.channels[0]
    names = form.layout.names
    return Form("wide", names, steps[0], steps[-1], left_out, target_names=targets)


def _first_and_last(table: Table) -> list[tuple]:
    """The first time of a long table and the last, each as a number and as the file has it."""
    name = table.roles.time
    assert name is not None  # else the table would not be long
    time = table.times(name)
    return [(time[row], table.shown(name, row)) for row in (time.argmin(), time.argmax())]


def _wide(table: Table, form: TableForm) -> Part:
    check_count(table.rows, table.path)
    channels = [
        steps_of([table.numbers(n, masked=True) for n in names]) for names in form.layout.channels
    ]
    x = np.concatenate([values for values, _ in channels], axis=2)
    offset = tuple(number for _, offsets in channels for number in offsets)
    where = [table.where(row) for row in range(table.rows)]
    y = table.targets()
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
    target, *others = table.roles.targets
    if not table.is_lists(target):
        return Part(x, table.targets(), where, table.splits(), offset=offset)
    if others:
        raise UserError(
            f"{table.path}: {target!r} holds lists; of several targets a step, save an .npz"
        )
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
