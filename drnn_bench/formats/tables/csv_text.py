"""The text of a csv or tsv: where its header is, what separates values, and its columns.

What may stand before the header: blank lines, comments (#), and Excel's `sep=;`. Lines may end in
LF, CR LF, or CR alone.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drnn_bench.errors import UserError
from drnn_bench.formats.files import decoded, read_bytes, some
from drnn_bench.formats.limits import check_memory
from drnn_bench.formats.number_text import is_number

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = ",;\t|"
MOST_COLUMNS = 50_000  # Arrow takes 0.2 ms and 10 kB for each
LARGEST_BLOCK = 2**31 - 1  # bytes
SEPARATOR = re.compile(rb'"?sep=(.)"?', re.IGNORECASE)  # the first line of Excel's
NAMELESS = "(no name)"  # how the first column is called where the header does not name it
MISSING_TOO = ("?", " ", "None", "none", "NAN", "Nan", "<NA>", "N.A.", ".", "-")  # beside Arrow's


@dataclass(frozen=True)
class Text:
    """A table's text, its header read."""

    path: Path
    names: tuple[str, ...]
    delimiter: str
    body: bytes  # what follows the header


def open_text(path: Path) -> Text:
    """Reads the header. Raises UserError where there is none."""
    raw, start, delimiter = _past_preamble(path)
    names, end, delimiter = _header(path, raw, start, delimiter)
    if not names_columns(names):
        raise UserError(
            f"{path}: the first line must name the columns, it has {some(names) or 'nothing'}"
        )
    if len(names) == 1 and " " in names[0]:
        raise UserError(
            f"{path}: the first line has no comma, semicolon, tab or | between names, it has "
            f"{some(names)}; separate values by one of them"
        )
    if len(names) > MOST_COLUMNS:
        raise UserError(
            f"{path}: {len(names):,} columns, and at most {MOST_COLUMNS:,} are read; save longer "
            f"sequences in long form (columns id, time and a value) or as .npz"
        )
    check_memory(
        raw.count(b"\n", end) * len(names) * 16,
        path,
        "split the table, or use a machine with more",
    )
    return Text(path, column_names(names), delimiter, raw[end:])


def names_columns(names: Sequence[str]) -> bool:
    """Whether a line is a header. Names may be numbers (of steps, in their order), but not all."""
    numbers = [float(name) for name in names if is_number(name)]
    in_order = numbers in (sorted(set(numbers)), sorted(set(numbers), reverse=True))
    return any(names) and len(numbers) < len(names) and in_order


def column_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names of columns; a column without one is named by its number."""
    return tuple(
        name or (f"(column {place})" if place > 1 else NAMELESS)
        for place, name in enumerate(names, 1)
    )


def parsed(text: Text, as_text: Collection[str]) -> pa.Table:
    """The columns. The type of a column is one that fits all of its values; those of `as_text` are
    text."""
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    path, bad = text.path, []
    missing = [*ConvertOptions().null_values, *MISSING_TOO]

    def note(row) -> str:
        bad.append(row)
        return "skip"

    def read(threads: bool) -> pa.Table:
        # One block: a column's type is that of all its values, not of the first megabyte's.
        size = min(len(text.body) + 1, LARGEST_BLOCK)
        return read_csv(
            pa.BufferReader(text.body),
            ReadOptions(column_names=text.names, block_size=size, use_threads=threads),
            ParseOptions(delimiter=text.delimiter, invalid_row_handler=note),
            ConvertOptions(column_types=dict.fromkeys(as_text, pa.string()), null_values=missing),
        )

    if not text.body.strip():
        raise UserError(f"{path}: has no rows")
    try:
        arrow = read(threads=True)
        if bad:  # threads do not count rows
            bad.clear()
            read(threads=False)
            row = bad[0]
            raise UserError(
                f"{path} row {row.number}: {row.actual_columns} values, the header names "
                f"{row.expected_columns}"
            )
    except pa.ArrowException as error:
        why = str(error).partition("\n")[0][:200]
        raise UserError(f"{path}: no csv that can be read ({why})") from None
    return arrow


def _past_preamble(path: Path) -> tuple[bytes, int, str | None]:
    """The text in UTF-8, where its header begins, and the delimiter if the file names it."""
    raw = read_bytes(path)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # Excel's "Unicode text"
        try:
            raw = raw.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise UserError(f"{path}: no whole UTF-16 file; save it as UTF-8") from None
    raw = raw.removeprefix(codecs.BOM_UTF8)
    decoded(path, raw)
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    start, delimiter, comment = 0, None, None
    while start < len(raw):
        end = _line_end(raw, start)
        line = raw[start:end].strip(b" \r\n")
        separator = SEPARATOR.fullmatch(line)
        if line.startswith(b"#"):
            comment = (start, line)
        elif separator:
            delimiter = separator[1].decode()
        elif line:
            break
        start = end
    if comment and _is_header(comment[1], raw[start : _line_end(raw, start)], delimiter):
        start = comment[0]
    return raw, start, delimiter


def _is_header(comment: bytes, first: bytes, delimiter: str | None) -> bool:
    """Whether a comment names the columns of the line after it: `# a,b,label` as numpy saves it."""
    names, values = comment.decode(), first.decode().strip()
    separator = delimiter or _delimiter(values)
    fields = values.split(separator)
    alike = len(names.split(separator)) == len(fields) > 1
    return alike and any(map(is_number, fields)) and not any(map(is_number, names.split(separator)))


def _header(
    path: Path, raw: bytes, start: int, delimiter: str | None
) -> tuple[list[str], int, str]:
    """The names in the line that begins at `start`, where it ends, and the delimiter."""
    end = _line_end(raw, start)
    while raw.count(b'"', start, end) % 2 and end < len(raw):  # a name in quotes has a line break
        end = _line_end(raw, end)
    head = raw[start:end].decode().strip("\r\n")
    head = head[1:].lstrip(" ") if head.startswith("#") else head
    delimiter = delimiter or _delimiter(head)
    if head.count(delimiter) >= MOST_COLUMNS:
        return head.split(delimiter), end, delimiter
    return _split(path, head, delimiter), end, delimiter


def _split(path: Path, head: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader([head], delimiter=delimiter, skipinitialspace=True)
        return [" ".join(name.split()) for name in next(rows, [])]
    except csv.Error as error:
        raise UserError(f"{path}: its first line names no columns ({error})") from None


def _delimiter(head: str) -> str:
    """The most frequent delimiter of a line outside quotes; the comma where several are."""
    outside = "".join(head.split('"')[::2])  # of quotes
    return max(DELIMITERS, key=outside.count)


def _line_end(raw: bytes, start: int) -> int:
    """Where the next line begins."""
    end = raw.find(b"\n", start)
    return len(raw) if end < 0 else end + 1
