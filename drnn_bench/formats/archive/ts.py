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

A missing value is `?` or NaN. With time stamps a step is (time,value); they are read where they are
equally spaced, and then only the values matter.

Legend: T steps, C channels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.archive.text_rows import lines_of, numbers
from drnn_bench.formats.archive.time_stamps import (
    Spacing,
    spaced,
    split_channels,
    stamped,
)
from drnn_bench.formats.files import (
    by_split,
    read_text,
    some,
    with_partner,
)
from drnn_bench.formats.labels import label_text
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import (
    Form,
    Part,
    Sequences,
    joined,
)

OPTIONS = ("missing", "real")
Lines = list[tuple[int, str]]  # the number of a line in its file, and the line


@dataclass(frozen=True)
class _Header:
    """What a file promises of its rows; None where it says nothing."""

    classes: str  # their names, as they stand there
    stamps: bool  # steps are (time,value)
    channels: int | None
    equal: bool  # all rows have the same length
    length: int | None


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """One file, or NAME_TRAIN.ts and NAME_TEST.ts, either of which finds the other."""
    files, notes = with_partner(place, files)
    parts, spacing = [], None
    for path, split in by_split(place, files):
        part, spacing = _part(path, split, spacing, notes, options.real)
        parts.append(part)
    return joined(parts, Form("ts"), notes, options.real)


def _part(
    path: Path, split: str | None, spacing: Spacing | None, notes: list[str], real: bool
) -> tuple[Part, Spacing | None]:
    """The rows of a file, and how the time stamps so far are spaced, if there are any."""
    lines = [(number, line.strip()) for number, line in lines_of(read_text(path))]
    header, rows = _header(path, lines, real)
    channels, length = header.channels, header.length
    where = [f"{path} row {row} (line {line})" for row, (line, _) in enumerate(rows, 1)]
    labels = [label_text(text.rpartition(":")[2]) for _, text in rows]
    x, y = [], labels if real else _classes(path, header, where, labels, notes)
    for name, (_, text) in zip(where, rows, strict=True):
        series, spacing = _series(name, text, header, spacing)
        channels = channels or series.shape[1]
        if series.shape[1] != channels:
            promise = "the header promises" if header.channels else "the first row has"
            raise UserError(f"{name}: {series.shape[1]} channels, {promise} {channels}")
        length = length or len(series)
        if header.equal and len(series) != length:
            promise = f"@seriesLength {length}" if header.length else "@equalLength true"
            raise UserError(f"{name}: {len(series)} steps, the header promises {promise}")
        x.append(series)
    return Part(x, np.array(y, dtype=str), where, split), spacing


# -- the header --------------------------------------------------------------------------------


def _header(path: Path, lines: Lines, real: bool) -> tuple[_Header, Lines]:
    """The header, and the rows after it; `real` says that targets are to be real numbers."""
    tags: dict[str, str] = {}
    for place, (line, text) in enumerate(lines):
        if not text.startswith("@"):
            raise UserError(f"{path} line {line}: a row of data before @data; is this a .ts file?")
        tag, _, rest = re.sub(r"\s", " ", text[1:]).partition(" ")
        tags[tag.lower()] = rest.strip()
        if tag.lower() == "data":
            rows = lines[place + 1 :]
            break
    else:
        raise UserError(f"{path}: no @data in it; expected a header, @data and then the rows")
    has_targets = "targetlabel" in tags and _flag(path, tags, "targetlabel")
    if has_targets and not real:
        raise UserError(
            f"{path}: has real-valued targets (@targetLabel); to predict them write metric=rmse "
            f"(or mse, mae, r2)"
        )
    classes = tags.get("classlabel", "").partition(" ")[2].strip()
    if real and not has_targets:
        raise UserError(
            f"{path}: has classes (@classLabel); real targets need @targetLabel true; for classes "
            f"leave out the metric of real numbers"
        )
    if not real and not (classes and _flag(path, tags, "classlabel")):
        raise UserError(f"{path}: names no classes; expected @classLabel true and their labels")
    channels = _number(path, tags, "dimensions") or _number(path, tags, "dimension")
    if _flag(path, tags, "univariate"):
        if channels not in (None, 1):
            raise UserError(f"{path}: @univariate true, but @dimensions {channels}")
        channels = 1
    length = _number(path, tags, "serieslength")
    equal = _flag(path, tags, "equallength", otherwise=length is not None)
    stamps = _flag(path, tags, "timestamps")
    return _Header(classes, stamps, channels, equal, length if equal else None), rows


def _flag(path: Path, tags: dict[str, str], tag: str, otherwise: bool = False) -> bool:
    if tag not in tags:
        return otherwise
    word = tags[tag].partition(" ")[0].lower()
    if word not in ("true", "false"):
        raise UserError(f"{path}: @{tag} {word}: expected true or false")
    return word == "true"


def _number(path: Path, tags: dict[str, str], tag: str) -> int | None:
    if tag not in tags:
        return None
    word = tags[tag].partition(" ")[0]
    if not word.isdecimal() or int(word) < 1:
        raise UserError(f"{path}: @{tag} {word}: expected a whole number, at least 1")
    return int(word)


# -- rows --------------------------------------------------------------------------------------


def _series(
    where: str, text: str, header: _Header, spacing: Spacing | None
) -> tuple[np.ndarray, Spacing | None]:
    """A series float64 [T, C], and how time stamps are spaced."""
    channels = split_channels(text)[:-1] if header.stamps else text.split(":")[:-1]
    channels = [channel.strip() for channel in channels]
    if not channels:
        raise UserError(f"{where}: expected channels separated by `:` and then the label")
    if header.stamps:
        times, series = zip(*(stamped(where, channel) for channel in channels), strict=True)
        spacing = spaced(where, times, spacing)
    else:
        if "(" in text:
            raise UserError(f"{where}: has time stamps, but the header has no @timeStamps true")
        series = [numbers(where, channel.split(",") if channel else []) for channel in channels]
    if len({len(channel) for channel in series}) > 1:
        lengths = some(str(len(channel)) for channel in series)
        raise UserError(f"{where}: channels of {lengths} steps; all need the same number")
    return np.stack(series, axis=1), spacing


def _classes(
    path: Path, header: _Header, where: Sequence[str], labels: Sequence[str], notes: list[str]
) -> list[str]:
    """The class of each row, as the header spells it. A header separates classes by blanks or by
    commas, and may spell them otherwise than the rows do: 1.0 for 1, Up for up."""
    names = [label_text(name) for name in header.classes.split()]
    key, unknown = _spelling(names, labels)
    if unknown and "," in header.classes:
        names = [label_text(name) for name in header.classes.split(",")]
        key, unknown = _spelling(names, labels)
    if unknown:
        name, label = where[unknown[0]], labels[unknown[0]]
        if label == "?":
            raise UserError(f"{name}: the label is missing (?)")
        hint = "; separate classes by commas if a name has a blank" if " " in label else ""
        raise UserError(
            f"{name}: class {label[:40]!r} is not in the header, which has {some(names, 20)}{hint}"
        )
    classes = {key(name): name for name in names}
    y = [classes[key(label)] for label in labels]
    if other := sorted({pair for pair in zip(labels, y, strict=True) if pair[0] != pair[1]}):
        notes.append(
            f"{path}: labels are read as the header spells them: "
            f"{some(f'{label} as {name}' for label, name in other)}"
        )
    return y


def _spelling(
    names: Sequence[str], labels: Sequence[str]
) -> tuple[Callable[[str], str], list[int]]:
    """What the spellings of a class have in common, and which labels are in no class."""
    key = _key if len({_key(name) for name in names}) == len(set(names)) else str
    classes = {key(name) for name in names}
    return key, [i for i, label in enumerate(labels) if key(label) not in classes]


def _key(label: str) -> str:
    """What two spellings of a class have in common."""
    number = re.fullmatch(r"[-+]?[0-9]+(\.0*)?", label)
    return str(int(float(label))) if number and len(label) < 16 else label.casefold()
