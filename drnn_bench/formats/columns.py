"""A csv or parquet file as Arrow columns, and what each column is for.

What is wrong with a value names its column and its row; rows are counted from 1, without a header.

Legend: R rows.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import decoded, read_bytes, some
from drnn_bench.formats.sequences import TARGETS

if TYPE_CHECKING:
    import pyarrow as pa

# The surest first: beside a series_id an id is a row's, and beside a step a timestamp is a copy.
IDS = ("series_id", "sequence_id", "series", "sequence", "id")
TIMES = ("time", "step", "t", "timestamp")
INDEX = ("", "unnamed: 0", "__index_level_0__")  # pandas' index, saved with the rest
DELIMITERS = ",;\t"
LARGEST_BLOCK = 2**31 - 1  # bytes


@dataclass(frozen=True)
class Roles:
    """Columns by what they are for; None where there is none."""

    target: str
    split: str | None
    id: str | None
    time: str | None
    data: tuple[str, ...]  # the rest, in their order
    ignored: tuple[str, ...]  # never read

    @property
    def text(self) -> list[str]:
        """What is read as it is written: 007 is no 7."""
        return [name for name in (self.target, self.split, self.id) if name]


@dataclass(frozen=True)
class Table:
    path: Path
    arrow: pa.Table
    roles: Roles

    @property
    def rows(self) -> int:
        return self.arrow.num_rows

    def where(self, row: int) -> str:
        """For messages; `row` is counted from 0."""
        return f"{self.path} row {row + 1}"

    def kind(self, name: str) -> str:
        """number, text, or as Arrow calls it."""
        import pyarrow.types as types

        kind = _plain_type(self.arrow.schema.field(name).type)
        if _is_number_type(kind):
            return "number"
        if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
            return "text"
        return str(kind)

    def column(self, name: str) -> pa.Array:
        """A column [R] in which nothing is missing."""
        import pyarrow as pa

        column = self.arrow.column(name).combine_chunks()
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        if column.null_count:
            row = np.flatnonzero(np.asarray(column.is_null()))[0]
            raise UserError(f"{self.where(row)}: column {name!r} has no value; fill it in")
        return column

    def values(self, name: str) -> np.ndarray:
        """A column's values [R]."""
        return as_numpy(self.column(name))

    def labels(self, name: str) -> np.ndarray:
        """The values [R] of the column of labels."""
        if self.kind(name) not in ("number", "text", "bool", "null"):
            raise UserError(
                f"{self.path}: column {name!r} holds {self.kind(name)}, expected labels, whole "
                f"numbers or text"
            )
        return self.values(name)

    def numbers(self, name: str) -> np.ndarray:
        """The values [R] of a column of numbers; anything else is refused."""
        kind = self.kind(name)
        if kind == "number":
            return self.values(name)
        values = self.values(name).tolist()  # for `null`: what is missing is said here
        row, value = next(((i, v) for i, v in enumerate(values) if not _is_number(v)), (0, None))
        if value is None and kind == "text":
            raise UserError(
                f"{self.path}: column {name!r} holds numbers as text; save them as numbers"
            )
        raise UserError(f"{self.where(row)}: column {name!r} has {str(value)[:40]!r}, no number")

    def flat(
        self, lists: pa.Array, name: str, outer: np.ndarray | None = None
    ) -> tuple[pa.Array, np.ndarray]:
        """The members of a column's lists, none of them missing, and how many each list has; of
        lists in lists `outer` is how many of them each row has."""
        import pyarrow.compute as pc

        members, lengths = pc.list_flatten(lists), pc.list_value_length(lists).to_numpy()
        if members.null_count:
            place = np.flatnonzero(np.asarray(members.is_null()))[0]
            for counts in (lengths, outer):
                if counts is not None:
                    place = np.searchsorted(np.cumsum(counts), place, "right")
            raise UserError(f"{self.where(place)}: a value in {name!r} is missing; fill it in")
        return members, lengths

    def is_lists(self, name: str) -> bool:
        return is_list(_plain_type(self.arrow.schema.field(name).type))

    def is_series(self, name: str) -> bool:
        """Whether a column holds lists of numbers, or lists of such lists."""
        kind, depth = _plain_type(self.arrow.schema.field(name).type), 0
        while is_list(kind):
            kind, depth = kind.value_type, depth + 1
        return depth in (1, 2) and _is_number_type(kind)

    def is_prose(self, name: str) -> bool:
        """Whether a column is no part of a sequence: a date, or text and no number anywhere."""
        kind = self.kind(name)
        if kind == "text":
            return not any(_is_number(value) for value in self.arrow.column(name).to_pylist())
        return kind not in ("number", "null", "bool")


def as_numpy(column: pa.Array) -> np.ndarray:
    import pyarrow.types as types

    if types.is_decimal(column.type):
        column = column.cast("float64")
    values = column.to_numpy(zero_copy_only=False)
    return np.array(values.tolist(), dtype=str) if values.dtype == object else values


def open_table(path: Path, target: str | None) -> Table:
    arrow, roles = (_parquet if path.suffix.lower() == ".parquet" else _csv)(path, target)
    if not arrow.num_rows:
        raise UserError(f"{path}: has no rows")
    return Table(path, arrow, roles)


def _parquet(path: Path, target: str | None) -> tuple[pa.Table, Roles]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = read_bytes(path)
    try:
        arrow = pq.ParquetFile(pa.BufferReader(raw)).read()
        arrow.validate(full=True)  # text may not be UTF-8, lists may end before they begin
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: no parquet file that can be read ({_first(error)})") from None
    lists = {field.name for field in arrow.schema if is_list(_plain_type(field.type))}
    return arrow, _roles(path, arrow.column_names, target, lists)


def _csv(path: Path, target: str | None) -> tuple[pa.Table, Roles]:
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    raw = read_bytes(path).removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    head = decoded(path, raw).split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=head.count)  # of equals the comma
    try:
        names = [name.strip() for name in next(csv.reader([head], delimiter=delimiter), [])]
    except csv.Error as error:
        raise UserError(f"{path}: its first line names no columns ({error})") from None
    if all(_is_number(name) for name in names):
        raise UserError(
            f"{path}: the first line must name the columns, it has {some(names) or 'nothing'}"
        )
    roles = _roles(path, names, target)
    bad = []

    def note(row) -> str:
        bad.append(row)
        return "skip"

    def read(threads: bool) -> pa.Table:
        # One block: a column's type is that of all its values, not of the first megabyte's.
        size = min(len(raw) + 1, LARGEST_BLOCK)
        return read_csv(
            pa.BufferReader(raw),
            ReadOptions(column_names=names, skip_rows=1, block_size=size, use_threads=threads),
            ParseOptions(delimiter=delimiter, invalid_row_handler=note),
            ConvertOptions(column_types=dict.fromkeys(roles.text, pa.string())),
        )

    try:
        arrow = read(threads=True)
        if bad:  # threads do not count rows
            bad.clear()
            read(threads=False)
            row = bad[0]
            raise UserError(
                f"{path} row {row.number - 1}: {row.actual_columns} values, the header names "
                f"{row.expected_columns}"
            )
    except pa.ArrowException as error:
        raise UserError(f"{path}: no csv that can be read ({_first(error)})") from None
    return arrow, roles


def _roles(
    path: Path, names: Sequence[str], target: str | None, lists: Collection[str] = ()
) -> Roles:
    ignored = tuple(name for name in names if name.lower() in INDEX)
    names = [name for name in names if name not in ignored]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{path}: two columns are called {twice!r}; rename one")
    target = _target(path, names, target)
    left = [name for name in names if name != target]
    scalar = {name.lower(): name for name in reversed(left) if name not in lists}
    split, id_, time = (
        next((scalar[name] for name in called if name in scalar), None)
        for called in (("split",), IDS, TIMES)
    )
    called_so = {scalar[name] for name in (*IDS, *TIMES) if name in scalar}
    data = tuple(name for name in left if name != split and name not in called_so)
    ignored += tuple(name for name in left if name in called_so - {id_, time})
    return Roles(target, split, id_, time, data, tuple(name or "(no name)" for name in ignored))


def _target(path: Path, names: Sequence[str], target: str | None) -> str:
    there = f"there are: {some(names, 20)}"
    if target is not None:
        if target not in names:
            raise UserError(f"{path}: no column {target!r}; {there}")
        return target
    could = [name for name in names if name.lower() in TARGETS and name.lower() != "y"]
    could = could or [name for name in names if name.lower() == "y"]  # x, y, z are channels
    if len(could) != 1:
        what = f"columns {some(could)} could all be the labels" if could else "no column of labels"
        raise UserError(f"{path}: {what}; name it with target=NAME; {there}")
    return could[0]


def _plain_type(kind: pa.DataType) -> pa.DataType:
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


def _is_number(value: object) -> bool:
    try:
        return value is not None and not isinstance(value, bool) and float(value) is not None
    except (TypeError, ValueError):
        return False


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
