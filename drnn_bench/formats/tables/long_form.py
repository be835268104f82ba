"""The long form of a table: a row is a step, its id says of which sequence, its time when.

Legend: R rows, N sequences, T steps, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.numbers import side_by_side
from drnn_bench.formats.sequences import Part
from drnn_bench.formats.tables.roles import canonical, is_id_name
from drnn_bench.formats.tables.table import Table
from drnn_bench.formats.tables.times import passes_midnight

Ignored = list[tuple[str, str]]


@dataclass(frozen=True)
class _Rows:
    """Which sequence each row is of."""

    names: np.ndarray  # [N] in the order in which the file has them
    number: np.ndarray  # [R] the place of each row's sequence in `names`
    called: str  # the columns of the id, for messages

    def of(self, row: int | np.integer) -> str:
        """What messages call the sequence of a row."""
        return f"{self.called} {self.names[self.number[row]]}"


def read_long(table: Table, columns: tuple[str, ...]) -> tuple[Part, Ignored]:
    """The sequences, with a label for each step; and the columns that are named as ids or times are
    and are not read, each with the reason."""
    roles = table.roles
    assert roles.time is not None  # else the table would not be long
    rows = _rows(table)
    time = table.times(roles.time)
    _check_clock(table, rows, roles.time, time)
    order = np.lexsort((time, rows.number))
    number = rows.number[order]
    same = (number[1:] == number[:-1]) & (time[order][1:] == time[order][:-1])
    if same.any():
        row = int(order[same.argmax() + 1])
        others = [name for name in roles.spare if is_id_name(name)]
        together = "+".join([*others[:1], *roles.id]) if others else "A+B"
        raise UserError(
            f"{table.where(row)}: a second row of {rows.of(row)} at {roles.time} "
            f"{table.shown(roles.time, row)}; a step is one row; if an id is used again, name all "
            f"columns that tell sequences apart with id={together}"
        )
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    x, offset = side_by_side([table.numbers(name, masked=True) for name in columns])
    splits = table.splits()
    if splits:
        splits = _one_each(table, rows, np.array(splits), "expected one split")
    group = None
    if roles.group:
        group = _one_each(table, rows, table.named(roles.group).astype(str), "expected one group")
    ignored = _spare(table, rows)
    part = Part(
        x=np.split(x[order], starts[1:]),
        y=table.targets()[order],
        where=[f"{table.path} {rows.called} {name}" for name in rows.names.tolist()],
        split=splits,
        per_step=True,
        group=group,
        offset=offset,
    )
    return part, ignored


def labelled_once(parts: list[Part]) -> list[Part]:
    """The parts with one label for each sequence, if every sequence has one label at all of its
    steps; else the parts as they are."""
    once = []
    for part in parts:
        lengths = np.array([len(series) for series in part.x])
        y = part.y[np.cumsum(lengths) - lengths]
        if (part.y != np.repeat(y, lengths, axis=0)).any():
            return parts
        once.append(replace(part, y=y, per_step=False))
    return once


def _rows(table: Table) -> _Rows:
    ids = table.names(table.roles.id)
    names, first, number = np.unique(ids, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))
    return _Rows(names[np.argsort(first)], place[number], "+".join(table.roles.id))


def _one_each(table: Table, rows: _Rows, values: np.ndarray, expected: str) -> list[str]:
    """The value of each sequence [N], from those of the rows [R]. Raises UserError where the rows
    of a sequence differ."""
    _, first = np.unique(rows.number, return_index=True)
    own = values[first]
    wrong = np.flatnonzero(values != own[rows.number])
    if len(wrong):
        row = wrong[0]
        raise UserError(
            f"{table.where(row)}: {rows.of(row)} is in {values[row]} and in "
            f"{own[rows.number[row]]}; {expected}"
        )
    return own.tolist()


def _check_clock(table: Table, rows: _Rows, name: str, time: np.ndarray) -> None:
    """Raises UserError where column `name` has times of the day, and the day matters."""
    if not table.is_clock(name):
        return
    for date in (spare for spare in table.roles.spare if canonical(spare) == "date"):
        days = table.values(date)
        if len(np.unique(days)) > 1:
            raise UserError(
                f"{table.path}: columns {date!r} and {name!r} say together when; join them into "
                f"one column, such as 2024-03-01T10:05:00, or leave one out with ignore={date}"
            )
    order = np.argsort(rows.number, kind="stable")  # within a sequence that of the file
    ends = np.cumsum(np.bincount(rows.number))[:-1]
    for own in np.split(order, ends):
        if passes_midnight(time[own], 86_400e9):
            raise UserError(
                f"{table.where(own[0])}: {name!r} of {rows.of(own[0])} goes from "
                f"{table.shown(name, own[0])} past midnight to {table.shown(name, own[-1])}; write "
                f"the dates too, such as 2024-03-01T10:05:00"
            )


def _spare(table: Table, rows: _Rows) -> Ignored:
    """The columns that are named as ids or times are and were not chosen, each with the reason why
    it is not read. Raises UserError where such a column shows that sequences belong together, or
    that the id does not tell them apart."""
    ignored = []
    count = len(rows.names)
    for name in table.roles.spare:
        if not is_id_name(name):
            ignored.append((name, f"{table.roles.time} is the time"))
            continue
        values, own = np.unique(table.values(name), return_inverse=True)
        pairs = len(np.unique(rows.number * len(values) + own))
        if len(values) == table.rows or pairs == table.rows:
            ignored.append((name, "it numbers the rows"))
        elif pairs > count:
            raise UserError(
                f"{table.path}: column {name!r} changes within {rows.called}; say which tells "
                f"sequences apart with id={name} or id={rows.called}+{name}, or leave it out with "
                f"ignore={name}"
            )
        elif len(values) == count or len(values) == 1 or table.roles.group:
            ignored.append((name, f"{rows.called} is the id"))
        else:
            raise UserError(
                f"{table.path}: several of {rows.called} have one {name!r}; group={name} keeps "
                f"them in one split, ignore={name} does not"
            )
    return ignored
