"""A table as Arrow columns, and the values of a column by its role.

A message on a value names its column and its row; rows are counted from 1, without the header.

Legend: R rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.labels import missing_word
from drnn_bench.formats.number_text import fault, first_fault, is_number
from drnn_bench.formats.sequences import split_called
from drnn_bench.formats.tables import times
from drnn_bench.formats.tables.roles import Roles

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_TEXT = 1_000  # characters of a label or an id


@dataclass(frozen=True)
class Table:
    path: Path
    arrow: pa.Table
    roles: Roles

    @property
    def rows(self) -> int:
        return self.arrow.num_rows

    def where(self, row: int | np.integer) -> str:
        """For messages; `row` is counted from 0."""
        return f"{self.path} row {row + 1}"

    def kind(self, name: str) -> str:
        """number, text, or as Arrow calls it."""
        import pyarrow.types as types

        kind = plain_type(self.arrow.schema.field(name).type)
        if _is_number_type(kind):
            return "number"
        if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
            return "text"
        return str(kind)

    def column(self, name: str) -> pa.Array:
        """A column [R] in which nothing is missing."""
        column = self._column(name)
        if column.null_count:
            row = np.flatnonzero(np.asarray(column.is_null()))[0]
            raise UserError(f"{self.where(row)}: column {name!r} has no value; fill it in")
        return column

    def values(self, name: str) -> np.ndarray:
        """A column's values [R]."""
        column = self.column(name)
        if self.kind(name) == "text":
            longest = _computed("max", _computed("utf8_length", column)).as_py() or 0
            if longest > LONGEST_TEXT:
                raise UserError(
                    f"{self.path}: column {name!r} has a text of {longest:,} characters, expected "
                    f"names of at most {LONGEST_TEXT:,}"
                )
        return as_numpy(column)

    def labels(self, name: str) -> np.ndarray:
        """The values [R] of the column of labels, none of them missing."""
        if self.kind(name) not in ("number", "text", "bool", "null"):
            raise UserError(
                f"{self.path}: column {name!r} holds {self.kind(name)}, expected labels, whole "
                f"numbers or text"
            )
        return self.named(name, "the label")

    def targets(self) -> np.ndarray:
        """The labels [R], or real targets [R, D], NaN where one is missing."""
        if not self.roles.real:
            return self.labels(self.roles.target)
        columns = [self.numbers(name).astype(np.float64) for name in self.roles.targets]
        return np.stack(columns, axis=1)

    def named(self, name: str, what: str = "") -> np.ndarray:
        """The values [R] of a column of names: of classes, sequences, groups. A word that stands
        for a missing value is none."""
        values = self.values(name)
        row = missing_word(values)
        if row is not None:
            raise UserError(
                f"{self.where(row)}: {what or f'column {name!r}'} is missing "
                f"({str(values[row])!r}); fill it in, or leave the row out"
            )
        return values

    def splits(self) -> list[str] | None:
        """The split of each row, where a column tells it."""
        if self.roles.split is None:
            return None
        words = self.values(self.roles.split).tolist()
        return [split_called(word, self.where(row)) for row, word in enumerate(words)]

    def names(self, columns: Collection[str]) -> np.ndarray:
        """The names [R] of the rows: the values of one column, or of several, joined by blanks."""
        if len(columns) == 1:
            return self.named(*columns)
        words = [self.named(name).astype(str).tolist() for name in columns]
        return np.array([" ".join(row) for row in zip(*words, strict=True)])

    def distinct(self, name: str) -> list:
        """The distinct values of a column, as Python has them; None where one is missing."""
        return self._column(name).unique().to_pylist()

    def is_empty(self, name: str) -> bool:
        return self.arrow.column(name).null_count == self.rows

    def numbers(self, name: str, masked: bool = False) -> np.ndarray:
        """The values [R] of a column of numbers, NaN where one is missing; anything else is
        refused. `masked`: see `as_numbers`."""
        kind = self.kind(name)
        if kind == "number":
            return (as_numbers if masked else as_numpy)(self._column(name))
        if kind == "null":
            return np.full(self.rows, np.nan)
        leave = f"or leave the column out with ignore={name}"
        if kind == "bool":
            row, value = next((i, v) for i, v in self._present(name))
            raise UserError(
                f"{self.where(row)}: column {name!r} has {value}, a truth value and no number; "
                f"save it as 0 and 1, {leave}"
            )
        wrong = next(((i, v) for i, v in self._present(name) if not is_number(v)), None)
        if wrong is None:
            raise UserError(
                f"{self.path}: column {name!r} holds numbers as text; save them as numbers, {leave}"
            )
        row, value = wrong
        why = fault(str(value))
        cause = f" ({why})" if why else ""
        if not why and kind == "text":
            other, number = next((i, v) for i, v in self._present(name) if fault(v))
            cause = f", but {number[:40]!r} in row {other + 1}"
        raise UserError(
            f"{self.where(row)}: column {name!r} has {str(value)[:40]!r}, no number{cause}; write "
            f"plain numbers (1000, 0.5), {leave}"
        )

    def times(self, name: str) -> np.ndarray:
        """The times [R] that put the rows in order, numbers or dates; none may be missing."""
        kind = self.kind(name)
        if kind == "text":
            return times.in_order(self.values(name).tolist(), self.where, name)
        if kind != "null" and not kind.startswith(("time", "date", "duration")):
            self.numbers(name)  # what is missing is said below
        time = self.values(name)
        missing = np.flatnonzero(time != time)  # NaN
        if len(missing):
            raise UserError(f"{self.where(missing[0])}: column {name!r} is NaN, expected a time")
        if time.dtype.kind in "OU":  # of a clock
            time = times.in_order([str(value) for value in time.tolist()], self.where, name)
        return time

    def is_clock(self, name: str) -> bool:
        """Whether a column has times of the day, without a date."""
        if self.kind(name) == "text":
            first = self.arrow.column(name)[0].as_py()
            return ":" in (first or "") and not times.has_date(first)
        return self.kind(name).startswith("time32") or self.kind(name).startswith("time64")

    def shown(self, name: str, row: int | np.integer) -> str | int | float:
        """A value as the file has it, for messages."""
        value = self.arrow.column(name)[int(row)].as_py()
        return value if isinstance(value, int | float | str) else str(value)

    def flat(
        self, lists: pa.Array, name: str, outer: np.ndarray | None = None
    ) -> tuple[pa.Array, np.ndarray]:
        """The members of a column's lists, and how many each list has; of lists in lists `outer` is
        how many of them each row has. Numbers may be missing, nothing else."""
        members = _computed("list_flatten", lists)
        lengths = _computed("list_value_length", lists).to_numpy()
        if members.null_count and not _is_number_type(members.type):
            place = np.flatnonzero(np.asarray(members.is_null()))[0]
            for counts in (lengths, outer):
                if counts is not None:
                    place = np.searchsorted(np.cumsum(counts), place, "right")
            raise UserError(f"{self.where(place)}: a value in {name!r} is missing; fill it in")
        return members, lengths

    def is_lists(self, name: str) -> bool:
        return is_list(plain_type(self.arrow.schema.field(name).type))

    def is_series(self, name: str) -> bool:
        """Whether a column holds lists of numbers, or lists of such lists."""
        import pyarrow.types as types

        kind, depth = plain_type(self.arrow.schema.field(name).type), 0
        while is_list(kind):
            kind, depth = kind.value_type, depth + 1
        if depth and types.is_boolean(kind):
            raise UserError(
                f"{self.path}: column {name!r} holds lists of truth values; save them as 0 and 1, "
                f"or leave the column out with ignore={name}"
            )
        return depth in (1, 2) and _is_number_type(kind)

    def is_prose(self, name: str) -> str | None:
        """Why a column is no part of a sequence: it holds dates, or words and nothing that is meant
        as a number; None where it may be one."""
        kind = self.kind(name)
        if kind != "text":
            return None if kind in ("number", "null", "bool") else _no_numbers(kind)
        return None if first_fault(self.distinct(name)) else "words"

    def _column(self, name: str) -> pa.Array:
        import pyarrow as pa

        column = self.arrow.column(name).combine_chunks()
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        return column

    def _present(self, name: str) -> Iterator[tuple[int, Any]]:
        """Rows and values of a column, without those that are missing."""
        values = self.arrow.column(name).to_pylist()
        return ((row, value) for row, value in enumerate(values) if value is not None)


def _computed(function: str, column: pa.Array) -> Any:
    """One of Arrow's functions, of a whole column."""
    import pyarrow.compute as pc

    return pc.call_function(function, [column])


def as_numpy(column: pa.Array) -> np.ndarray:
    import pyarrow.types as types

    if types.is_decimal(column.type):
        column = column.cast("float64")
    values = column.to_numpy(zero_copy_only=False)
    return np.array(values.tolist(), dtype=str) if values.dtype == object else values


def as_numbers(column: pa.Array) -> np.ndarray:
    """Numbers, NaN where one is missing; of whole numbers, which float64 may not hold, a masked
    array."""
    import pyarrow.types as types

    if not column.null_count or not types.is_integer(column.type):
        return as_numpy(column)
    missing = column.is_null().to_numpy(zero_copy_only=False)
    return np.ma.array(column.fill_null(0).to_numpy(), mask=missing)


def _no_numbers(kind: str) -> str:
    """Kinds as Arrow calls them, in a user's words."""
    for start, what in (("timestamp", "dates"), ("date", "dates"), ("time", "times")):
        if kind.startswith(start):
            return what
    return kind.partition("<")[0]


def plain_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind.value_type if isinstance(kind, pa.DictionaryType) else kind


def _is_number_type(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)


def is_list(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
