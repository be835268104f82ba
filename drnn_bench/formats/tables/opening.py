"""A csv, tsv or parquet file as a table, its columns known by their roles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from drnn_bench.errors import UserError
from drnn_bench.formats.files import read_bytes
from drnn_bench.formats.limits import check_memory, check_unpacked
from drnn_bench.formats.options import Options
from drnn_bench.formats.tables.csv_text import (
    MOST_COLUMNS,
    column_names,
    open_text,
    parsed,
)
from drnn_bench.formats.tables.roles import Roles, roles_of
from drnn_bench.formats.tables.table import Table, is_list, plain_type

if TYPE_CHECKING:
    import pyarrow as pa

PER_ROW = 100  # bytes that a row takes beside its values, in whatever form
INSTEAD = "split the table, or use a machine with more"


def open_table(path: Path, options: Options) -> Table:
    is_parquet = path.suffix.lower() == ".parquet"
    arrow, roles = (_parquet if is_parquet else _csv)(path, options)
    if not arrow.num_rows:
        raise UserError(f"{path}: has no rows")
    return Table(path, arrow, roles)


def _csv(path: Path, options: Options) -> tuple[pa.Table, Roles]:
    text = open_text(path)
    roles = roles_of(path, text.names, options)
    return parsed(text, roles.text), roles


def _parquet(path: Path, options: Options) -> tuple[pa.Table, Roles]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = read_bytes(path)
    try:
        file = pq.ParquetFile(pa.BufferReader(raw))
        _check_size(path, len(raw), file.metadata)
        arrow = file.read()
        arrow.validate(full=True)  # text may not be UTF-8, lists may end before they begin
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        why = str(error).partition("\n")[0][:200]
        raise UserError(f"{path}: no parquet file that can be read ({why})") from None
    index = _index(arrow.schema)
    arrow = arrow.rename_columns(list(column_names(arrow.column_names)))
    lists = {field.name for field in arrow.schema if is_list(plain_type(field.type))}
    return arrow, roles_of(path, arrow.column_names, options, lists, index)


def _check_size(path: Path, packed: int, metadata) -> None:
    """Raises UserError where a table is too large for memory, which a small file can be: repeated
    values take no space in it."""
    if metadata.num_columns > MOST_COLUMNS:
        raise UserError(
            f"{path}: {metadata.num_columns:,} columns, and at most {MOST_COLUMNS:,} are read; "
            f"save longer sequences as lists, a row each, or as .npz"
        )
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    parts = [group.column(i) for group in groups for i in range(metadata.num_columns)]
    check_unpacked(
        sum(max(part.total_uncompressed_size, 0) for part in parts), packed, path, INSTEAD
    )
    needed = sum(part.num_values for part in parts) * 16 + metadata.num_rows * PER_ROW
    check_memory(needed, path, INSTEAD)


def _index(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that pandas took out of its index."""
    try:
        index = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(name for name in index if isinstance(name, str))
