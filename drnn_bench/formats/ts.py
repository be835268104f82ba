"""The .ts files of the UCR/UEA archive (timeseriesclassification.com): a header, then a sequence a
row, its channels separated by `:`, its label last.

    # comment
    @problemName Example
    @timeStamps false
    @missing false
    @univariate false
    @dimensions 2
    @equalLength true
    @seriesLength 3
    @classLabel true up down
    @data
    1,2,3:0.1,0.2,0.3:up

Legend: T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import by_split, listed, named_split, read_text, some
from drnn_bench.formats.labels import label_text
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import Form, Part, Sequences, joined

OPTIONS = ("missing",)
Lines = list[tuple[int, str]]  # the number of a line in its file, and the line


@dataclass(frozen=True)
class _Header:
    """What a file promises of its rows; None where it says nothing."""

    classes: tuple[str, ...]
    channels: int | None
    equal: bool  # all rows have the same length
    length: int | None


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """One file, or NAME_TRAIN.ts and NAME_TEST.ts, either of which finds the other."""
    notes = []
    rest, split = named_split(place.name)
    if place in files and split:
        files = [path for path in listed(place.parent, place) if named_split(path.name)[0] == rest]
        if len(files) == 1:
            notes.append(f"{place.name} is read alone: its partner of another split is not beside")
    parts = [_part(path, split) for path, split in by_split(place, files)]
    return joined(parts, Form("ts"), notes)


def _part(path: Path, split: str | None) -> Part:
    lines = [(i, line.strip()) for i, line in enumerate(read_text(path).split("\n"), 1)]
    lines = [(i, line) for i, line in lines if line and not line.startswith("#")]
    header, rows = _header(path, lines)
    channels, length = header.channels, header.length
    x, y, where = [], [], []
    for row, (line, text) in enumerate(rows, 1):
        where.append(f"{path} row {row} (line {line})")
        series, label = _row(where[-1], text, header.classes)
        channels = channels or series.shape[1]
        if series.shape[1] != channels:
            promise = "the header promises" if header.channels else "the first row has"
            raise UserError(f"{where[-1]}: {series.shape[1]} channels, {promise} {channels}")
        length = length or len(series)
        if header.equal and len(series) != length:
            promise = f"@seriesLength {length}" if header.length else "@equalLength true"
            raise UserError(f"{where[-1]}: {len(series)} steps, the header promises {promise}")
        x.append(series)
        y.append(label)
    return Part(x, np.array(y, dtype=str), where, split)


def _header(path: Path, lines: Lines) -> tuple[_Header, Lines]:
    """The header, and the rows after it."""
    tags: dict[str, list[str]] = {}
    for place, (line, text) in enumerate(lines):
        if not text.startswith("@"):
            raise UserError(f"{path} line {line}: a row of data before @data; is this a .ts file?")
        tag, *words = text[1:].split() or [""]
        tags[tag.lower()] = words
        if tag.lower() == "data":
            rows = lines[place + 1 :]
            break
    else:
        raise UserError(f"{path}: no @data in it; expected a header, @data and then the rows")
    if _flag(path, tags, "timestamps"):
        raise UserError(f"{path}: has time stamps, which are not read; save it without them")
    if "targetlabel" in tags and _flag(path, tags, "targetlabel"):
        raise UserError(
            f"{path}: has real-valued targets (@targetLabel); classification needs labels"
        )
    if not _flag(path, tags, "classlabel") or len(tags["classlabel"]) < 2:
        raise UserError(f"{path}: names no classes; expected @classLabel true and their labels")
    channels = _number(path, tags, "dimensions") or _number(path, tags, "dimension")
    if _flag(path, tags, "univariate"):
        if channels not in (None, 1):
            raise UserError(f"{path}: @univariate true, but @dimensions {channels}")
        channels = 1
    length = _number(path, tags, "serieslength")
    equal = _flag(path, tags, "equallength", otherwise=length is not None)
    classes = tuple(map(label_text, tags["classlabel"][1:]))
    return _Header(classes, channels, equal, length if equal else None), rows


def _row(where: str, text: str, classes: Sequence[str]) -> tuple[np.ndarray, str]:
    """A series float64 [T, C] and its label."""
    *channels, label = (part.strip() for part in text.split(":"))
    if not channels:
        raise UserError(f"{where}: expected channels separated by `:` and then the label")
    label = label_text(label)
    if label not in classes:
        raise UserError(
            f"{where}: class {label[:40]!r} is not in the header, which has {some(classes, 20)}"
        )
    series = [_series(where, channel) for channel in channels]
    if len({len(channel) for channel in series}) > 1:
        lengths = some(str(len(channel)) for channel in series)
        raise UserError(f"{where}: channels of {lengths} steps; all need the same number")
    return np.stack(series, axis=1), label


def _series(where: str, channel: str) -> np.ndarray:
    words = channel.split(",") if channel else []
    try:
        return np.array(words, dtype=np.float64)
    except ValueError:
        pass
    for step, word in enumerate(words, 1):
        try:
            float(word)
        except ValueError:
            what = "a missing value (?)" if word.strip() == "?" else f"{word[:40]!r}, no number,"
            raise UserError(
                f"{where}: {what} at step {step}; fill it or leave the row out"
            ) from None
    raise AssertionError(f"{where}: numpy and Python disagree on what a number is")


def _flag(path: Path, tags: dict[str, list[str]], tag: str, otherwise: bool = False) -> bool:
    if tag not in tags:
        return otherwise
    word = tags[tag][0].lower() if tags[tag] else ""
    if word not in ("true", "false"):
        raise UserError(f"{path}: @{tag} {word}: expected true or false")
    return word == "true"


def _number(path: Path, tags: dict[str, list[str]], tag: str) -> int | None:
    if tag not in tags:
        return None
    word = tags[tag][0] if tags[tag] else ""
    if not word.isdecimal() or int(word) < 1:
        raise UserError(f"{path}: @{tag} {word}: expected a whole number, at least 1")
    return int(word)
