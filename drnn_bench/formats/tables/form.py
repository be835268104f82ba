"""Which form a table has, which columns make its sequences, and which are left out and why.

Where names and values leave it open, the table is refused; the message names the option to use.

Legend: R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import SPLIT_WORDS, some
from drnn_bench.formats.tables.roles import counts_by_name, is_id_name
from drnn_bench.formats.tables.steps import Layout, layout
from drnn_bench.formats.tables.table import Table

FEWEST = 5  # rows; fewer may look like counters by chance


@dataclass(frozen=True)
class TableForm:
    """How a table is read."""

    name: str  # wide, lists, long
    layout: Layout
    ignored: tuple[tuple[str, str], ...]  # columns, each with the reason

    @property
    def columns(self) -> tuple[str, ...]:
        return self.layout.columns


def table_form(table: Table) -> TableForm:
    """The form of a table. Raises UserError where names, values and options leave it open."""
    roles = table.roles
    reasons = {name: why for name in roles.data if (why := _left_out(table, name))}
    ignored = (*roles.ignored, *reasons.items())
    columns = [name for name in roles.data if name not in reasons]
    series = [name for name in columns if table.is_series(name)]
    if series:
        scalars = [(name, "beside lists") for name in columns if name not in series]
        ids = _row_names(table)
        times = [(roles.time, "a time of the whole row")] if roles.time else []
        return TableForm("lists", Layout((tuple(series),)), (*ignored, *ids, *times, *scalars))
    if not columns:
        raise UserError(f"{table.path}: no numbers beside {roles.target!r}: {some(roles.data)}")
    steps = layout(columns)
    if roles.id and roles.time and not (steps.numbered and _is_unique(table.names(roles.id))):
        _check_counters(table, columns, long=True)
        return TableForm("long", Layout(tuple((name,) for name in columns)), ignored)
    lost = [name for name in reasons if name in layout([*columns, name]).columns]
    if steps.numbered and lost:
        raise UserError(
            f"{table.path}: column {lost[0]!r} is a step by its name and holds "
            f"{reasons[lost[0]]}; correct it, or leave it out with ignore={lost[0]}"
        )
    spare_times = [name for name in (roles.time, *roles.spare) if name and not is_id_name(name)]
    if spare_times and not steps.numbered:
        _refuse_time_alone(table, spare_times[0])
    rows = _row_names(table)
    _check_steps(table, steps)
    if not steps.numbered:
        _check_counters(table, columns)
    rows += [(name, "a time of the whole row") for name in spare_times]
    return TableForm("wide", steps, (*ignored, *rows))


def _left_out(table: Table, name: str) -> str | None:
    """Why a column is no part of any sequence; None where it is."""
    if name.startswith("(column ") and name not in table.roles.named_by_user:
        if table.is_empty(name):
            return "empty"
        raise UserError(f"{table.path}: {name[1:-1]} has no name; name it in the first line")
    why = None if table.is_series(name) else table.is_prose(name)
    if why == "words":
        words = {str(word).strip().lower() for word in table.distinct(name)}
        if len(words) > 1 and words <= SPLIT_WORDS.keys():
            raise UserError(
                f"{table.path}: column {name!r} has words for splits ({some(sorted(words))}); call "
                f"it split, or leave it out with ignore={name}"
            )
    return why


def _is_unique(values: np.ndarray) -> bool:
    return len(np.unique(values)) == len(values)


def _row_names(table: Table) -> list[tuple[str, str]]:
    """The columns of ids where a row is a sequence; one that repeats is refused."""
    row_names = []
    roles = table.roles
    for name in (*roles.id, *(name for name in roles.spare if is_id_name(name))):
        values = table.named(name)
        distinct, count = np.unique(values, return_counts=True)
        if name == roles.group or len(distinct) == len(values):
            row_names.append((name, "it names the rows"))
            continue
        again = distinct[count.argmax()]
        raise UserError(
            f"{table.path}: column {name!r} repeats ({str(again)[:40]} is in {count.max():,} "
            f"rows), and no column says when: with time=NAME a row is a step, with group={name} "
            f"its sequences stay in one split, with ignore={name} it is left out"
        )
    return row_names


def _refuse_time_alone(table: Table, name: str) -> None:
    raise UserError(
        f"{table.path}: a column {name!r} but none that says of which sequence a row is a step; "
        f"call it id, or name it with id=NAME; with ignore={name} a row is a sequence"
    )


def _check_steps(table: Table, steps: Layout) -> None:
    """Refuses numbered columns that do not make channels of equal steps, and those beside them."""
    if steps.odd:
        odd = steps.odd[0]
        several = "+".join(steps.odd) if len(steps.odd) < 7 else "A+B"
        first = steps.channels[0]
        raise UserError(
            f"{table.path}: the steps are {first[0]} to {first[-1]}, and {some(steps.odd)} "
            f"{'are' if len(steps.odd) > 1 else 'is'} none by name: leave out with "
            f"ignore={several}, or use as group={odd} or target={odd}, or rename"
        )
    if steps.ragged:
        raise UserError(
            f"{table.path}: {some(steps.names)} are channels by their names, but "
            f"{some(steps.ragged)} {'have' if len(steps.ragged) > 1 else 'has'} other steps than "
            f"{steps.names[0]}; all need the same, rename them or leave them out with ignore=A+B"
        )


def _check_counters(table: Table, columns: Sequence[str], long: bool = False) -> None:
    """Refuses a column that counts or numbers rows, by its name, or by its values where those of
    its neighbours do not."""
    part, instead = "a step", "if it is one, number the names of all (t1, t2, ...)"
    if long:
        part, instead = "a channel", "if it is one, rename it"
    for name in columns:
        if counts_by_name(name):
            _refuse_counter(table, name, part, "numbers rows by its name", "rename it if it is one")
    numbers = {name: table.numbers(name) for name in columns}
    numbers = {name: values for name, values in numbers.items() if np.isfinite(values).all()}
    if long:
        _, first, number = np.unique(
            table.names(table.roles.id), return_index=True, return_inverse=True
        )
        counting = [
            name
            for name, values in numbers.items()
            if _numbers_rows(values)
            or (_rises_by_one(values) and (values == values[first][number]).all())
        ]
    else:
        counting = [
            name
            for name, values in numbers.items()
            if _numbers_rows(values) or _rises_by_one(values) or _restarts(values)
        ]
    if counting and 2 * len(counting) < len(columns):
        few = ", ".join(f"{value:g}" for value in numbers[counting[0]][:4])
        _refuse_counter(
            table, counting[0], part, f"counts ({few}, ...), unlike the others", instead
        )


def _refuse_counter(table: Table, name: str, part: str, why: str, instead: str) -> None:
    raise UserError(
        f"{table.path}: column {name!r} {why}, so it is hardly {part}: leave it out with "
        f"ignore={name}, or say what it is with time={name}, id={name}, group={name} or "
        f"target={name}; {instead}"
    )


def _numbers_rows(values: np.ndarray) -> bool:
    """Whether a column's values [R], all finite, are whole numbers that follow one another, in any
    order."""
    if len(values) < FEWEST or not (values == np.round(values)).all():
        return False
    return values.max() - values.min() == len(values) - 1 and len(np.unique(values)) == len(values)


def _rises_by_one(values: np.ndarray) -> bool:
    """Whether they are whole numbers as 1, 1, 1, 2, 2, 3, 4, 4."""
    if len(values) < FEWEST or not (values == np.round(values)).all():
        return False
    return bool(np.isin(np.diff(values), (0, 1)).all() and values[-1] - values[0] > 2)


def _restarts(values: np.ndarray) -> bool:
    """Whether they rise evenly and begin again, and again: 0, 10, 20, 0, 10, 20."""
    differences = np.diff(values)
    back = (values[1:] == values[0]) & (differences < 0)
    if len(values) < FEWEST or not back.any() or len(values) < 3 * (back.sum() + 1):
        return False
    steps = differences[~back]
    return bool(steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0))
