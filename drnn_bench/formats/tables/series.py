"""A table whose rows are the steps of one long series, or of several, told apart by an id.

Rows are in the order of the time column where there is one, else in that of the file. Every column
of numbers is a channel, the target too.

Legend: R rows, T steps of a series, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.archive.ucr import has_no_header
from drnn_bench.formats.files import is_folder, some
from drnn_bench.formats.numbers import Offsets, side_by_side
from drnn_bench.formats.options import Options
from drnn_bench.formats.tables.opening import open_table
from drnn_bench.formats.tables.table import Table

ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


@dataclass(frozen=True)
class SeriesTable:
    """Series [T, C] that belong together, and what their columns are called."""

    x: list[np.ndarray]  # each [T, C]; NaN: missing
    y: list[np.ndarray]  # each [T], float64: the target's column
    where: list[str]  # for messages
    channels: tuple[str, ...]
    target: str
    offset: Offsets  # of each channel: the file's numbers are those in x and so much more
    ordered_by: str | None
    first_step: str | int | float
    last_step: str | int | float
    ignored: tuple[tuple[str, str], ...]  # columns that were not read, each with the reason


def read_series(path: Path, options: Options) -> SeriesTable:
    """The series of a table. Raises UserError, which names the row, for what is no number, and for
    values that are missing where `options.missing` is `refuse`."""
    if is_folder(path) or not path.name.lower().endswith(ENDINGS):
        raise UserError(f"{path}: horizon=N is for one table, {', '.join(ENDINGS)}")
    if not path.name.lower().endswith(".parquet") and has_no_header(path):
        raise UserError(f"{path}: no header; name the columns in the first line")
    table = open_table(path, options)
    roles = table.roles
    if len(roles.targets) > 1:
        raise UserError(f"{path}: horizon=N forecasts one column, got target={options.target}")
    if roles.split:
        raise UserError(
            f"{path}: column {roles.split!r} names splits, and forecasts are split in time; leave "
            f"it out with ignore={roles.split}"
        )
    words = {name: why for name in roles.data if (why := table.is_prose(name))}
    ignored = [*roles.ignored, *words.items(), *((name, "not chosen") for name in roles.spare)]
    channels = (roles.target, *(name for name in roles.data if name not in words))
    channels = tuple(name for name in table.arrow.column_names if name in channels)  # file's order
    x, offset = side_by_side([table.numbers(name, masked=True) for name in channels])
    y = table.numbers(roles.target).astype(np.float64)
    if options.missing == "refuse" and np.isnan(x).any():
        row, channel = np.argwhere(np.isnan(x))[0]
        raise UserError(
            f"{table.where(row)}: column {channels[channel]!r} has no value; values missing: "
            f"{int(np.isnan(x).sum()):,}; fill them in, or choose missing=ffill or "
            f"missing=zero+mask"
        )
    names, rows_of = _rows(table)
    first, last = rows_of[0][0], rows_of[-1][-1]
    time = roles.time
    return SeriesTable(
        x=[x[rows] for rows in rows_of],
        y=[y[rows] for rows in rows_of],
        where=[f"{path} {name}" if name else str(path) for name in names],
        channels=channels,
        target=roles.target,
        offset=offset,
        ordered_by=time,
        first_step=table.shown(time, first) if time else 1,
        last_step=table.shown(time, last) if time else max(map(len, rows_of)),
        ignored=tuple(ignored),
    )


def _rows(table: Table) -> tuple[list[str], list[np.ndarray]]:
    """Of each series its name, empty where the table is one, and its rows in order."""
    roles = table.roles
    time = table.times(roles.time) if roles.time else np.arange(table.rows)
    if not roles.id:
        names, number = [""], np.zeros(table.rows, int)
    else:
        ids, number = np.unique(table.names(roles.id), return_inverse=True)
        names = [f"{'+'.join(roles.id)} {name}" for name in ids.tolist()]
    order = np.lexsort((time, number))
    same = (np.diff(number[order]) == 0) & (time[order][1:] == time[order][:-1])
    if roles.time and same.any():
        row = int(order[same.argmax() + 1])
        hint = "" if roles.id else "; several series need a column that tells them apart: id=NAME"
        raise UserError(
            f"{table.where(row)}: a second row at {roles.time} {table.shown(roles.time, row)}{hint}"
        )
    ends = np.cumsum(np.bincount(number))[:-1]
    return names, np.split(order, ends)


def ignored_in_words(path: Path, ignored: tuple[tuple[str, str], ...]) -> list[str]:
    """A note on the columns that were not read, if there are any."""
    reasons = [f"{name} ({why})" for name, why in ignored]
    return [f"{path}: columns not read: {some(reasons, 20)}"] if reasons else []
