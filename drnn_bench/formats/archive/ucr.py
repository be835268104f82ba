"""Tables without a header, the older form of the UCR archive: a row is a label and then a sequence,
separated by tabs (NAME_TRAIN.tsv, of 2018), by blanks (NAME_TRAIN.txt) or by commas.

    1   0.52   0.61   0.73
    2   0.48   0.35   NaN

A sequence ends where only missing values follow: NaN, ?, or nothing.
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.archive.text_rows import is_value, lines_of, numbers
from drnn_bench.formats.files import (
    by_split,
    check_file,
    read_text,
    with_partner,
)
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import (
    TARGETS,
    Form,
    Part,
    Sequences,
    joined,
)

OPTIONS = ("target", "missing", "real")
FIRST, LAST = "first", "last"  # places of the label in a row, as `target` names them
START = 2**20  # bytes in which a first line is looked for


@dataclass(frozen=True)
class _Rows:
    split: str | None
    where: list[str]
    lines: list[str]
    separator: str | None  # None: blanks

    def labels(self, place: str) -> list[str]:
        """What stands at a place of each row."""
        if place == FIRST:
            words = [line.split(self.separator, 1)[0] for line in self.lines]
        else:
            words = [line.rsplit(self.separator, 1)[-1] for line in self.lines]
        return [word.strip().strip('"').strip() for word in words]

    def sequences(self, place: str) -> list[np.ndarray]:
        """The rest of each row: float64 [T, 1]."""
        rest = slice(1, None) if place == FIRST else slice(None, -1)
        return [
            numbers(where, line.split(self.separator)[rest], empty=True)[:, None]
            for where, line in zip(self.where, self.lines, strict=True)
        ]


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """One file, or NAME_TRAIN.tsv and NAME_TEST.tsv, either of which finds the other."""
    if options.target not in (None, FIRST, LAST):
        raise UserError(
            f"{place}: has no header, so that no column is called {options.target!r}; expected "
            f"target={FIRST} or target={LAST}, where the label stands in each row"
        )
    files, notes = with_partner(place, files)
    tables = [_rows(path, split) for path, split in by_split(place, files)]
    label = options.target or _label_place(place, tables)
    parts = [
        Part(
            x=rows.sequences(label),
            y=np.array(rows.labels(label), dtype=str),
            where=rows.where,
            split=rows.split,
            padded=True,
        )
        for rows in tables
    ]
    note = f"no header: the {label} value of each row is read as its label"
    return joined(parts, Form("ucr"), [*notes, note], options.real)


def has_no_header(path: Path) -> bool:
    """Whether a text file begins with a label and numbers, and not with the names of columns."""
    try:
        check_file(path)
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            start = file.read(START)
    except (UserError, OSError, EOFError, zlib.error):
        return False  # a reader will say why
    first = next((line for _, line in lines_of(start.decode("utf-8-sig", "replace"))), "")
    words = [word.strip() for word in first.split(_separator(first))]
    if len(start) == START:
        del words[-1:]  # it may be cut
    values = [word for word in words if word and _is_value(word)]
    names = [word for word in words if not _is_value(word)]
    if len(values) < 2 or len(names) > 1:
        return False
    if not names:  # columns may be called 0, 1, 2, ...
        return bool(words[0]) and not any(_counts(words[start:]) for start in (0, 1))
    end = names[0] in (words[0], words[-1]) and names[0].lower() not in TARGETS
    return end and not _in_order(values)  # else columns are called by times or frequencies


def _counts(words: Sequence[str]) -> bool:
    return any(words == [str(i) for i in range(k, k + len(words))] for k in (0, 1))


def _in_order(words: Sequence[str]) -> bool:
    pairs = list(itertools.pairwise(map(_value, words)))
    return all(a < b for a, b in pairs) or all(a > b for a, b in pairs)


def _separator(line: str) -> str | None:
    return next((mark for mark in "\t;," if mark in line), None)


def _rows(path: Path, split: str | None) -> _Rows:
    lines = lines_of(read_text(path))
    separator = _separator(lines[0][1]) if lines else None
    where = [f"{path} row {row} (line {line})" for row, (line, _) in enumerate(lines, 1)]
    return _Rows(split, where, [line for _, line in lines], separator)


def _label_place(place: Path, tables: Sequence[_Rows]) -> str:
    """The place of the labels in a row. Raises UserError where both places are possible."""
    first, last = ([word for rows in tables for word in rows.labels(at)] for at in (FIRST, LAST))
    if not all(map(_is_value, first)):
        return FIRST
    if not all(map(_is_value, last)):
        return LAST
    firsts, lasts = len(set(first)), len(set(last))
    if _whole(last) and lasts > 1 and (lasts <= firsts or not _whole(first)):
        raise UserError(
            f"{place}: the labels could be the first values of the rows ({firsts:,} different "
            f"ones) or the last ({lasts:,}); say which with target={FIRST} or target={LAST}"
        )
    if firsts > len(first) / 2 and len(first) > 3 and _whole(first):
        raise UserError(
            f"{place}: the first values of its {len(first):,} rows should be labels, but are "
            f"{firsts:,} different ones; remove them if they count the rows, or say target={FIRST}"
        )
    return FIRST


def _whole(words: Sequence[str]) -> bool:
    return all(_value(word).is_integer() for word in words)


def _is_value(word: str) -> bool:
    """Whether it is a number, were its decimals written with a point, or a missing one."""
    return not word or is_value(word.replace(",", "."))


def _value(word: str) -> float:
    return float(word.replace(",", ".").replace("?", "nan") or "nan")
