"""Weka's .arff files, as the UCR/UEA archive has them: attributes, then a sequence a row.

    % comment
    @relation Example
    @attribute att0 numeric
    @attribute att1 numeric
    @attribute target {up,down}
    @data
    0.52,0.61,up

Of several channels each is a row of one relational attribute, with \\n between them:

    @attribute channels relational
      @attribute att0 numeric
      @attribute att1 numeric
    @end channels
    @attribute target {up,down}
    @data
    '0.52,0.61\\n1.2,1.5',up

A sequence ends where only missing values (?) follow, in all channels. (scipy.io.arff reads such
files too, but drops what a row has too much without a word, and stops at labels beyond ASCII.)

Legend: T steps, C channels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.archive.text_rows import is_value, lines_of, numbers
from drnn_bench.formats.files import (
    by_split,
    read_text,
    some,
    with_partner,
)
from drnn_bench.formats.labels import label_text
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import (
    TARGETS,
    Form,
    Part,
    Sequences,
    joined,
)

OPTIONS = ("target", "missing", "real")
QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
NUMERIC = ("numeric", "real", "integer")
RELATIONAL = "relational"


@dataclass(frozen=True)
class _Attribute:
    name: str
    kind: str  # numeric, relational, nominal, string, date
    classes: tuple[str, ...] = ()  # of a nominal one
    width: int = 0  # of a relational one: how many attributes it has


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """One file, or NAME_TRAIN.arff and NAME_TEST.arff, either of which finds the other."""
    files, notes = with_partner(place, files)
    parts = [_part(path, split, options.target) for path, split in by_split(place, files)]
    return joined(parts, Form("arff"), notes, options.real)


def _part(path: Path, split: str | None, target: str | None) -> Part:
    lines = [(number, line.strip()) for number, line in lines_of(read_text(path))]
    attributes, rows = _attributes(path, lines)
    label = _label(path, attributes, target)
    known = {label_text(name) for name in attributes[label].classes}
    x, y, where = [], [], []
    for row, (line, text) in enumerate(rows, 1):
        where.append(f"{path} row {row} (line {line})")
        if text.startswith("{"):
            raise UserError(f"{where[-1]}: is sparse ({{index value, ...}}); save it dense")
        words = _words(text)
        if len(words) != len(attributes):
            raise UserError(
                f"{where[-1]}: {len(words)} values, the header names {len(attributes)} attributes"
            )
        y.append(label_text(_unquoted(words.pop(label))))
        if y[-1] == "?":
            raise UserError(f"{where[-1]}: the label is missing (?)")
        if attributes[label].kind == "numeric" and not is_value(y[-1]):
            raise UserError(f"{where[-1]}: the label {y[-1][:40]!r} is no number, as promised")
        if known and y[-1] not in known:
            raise UserError(
                f"{where[-1]}: class {y[-1][:40]!r} is not in the header, which has "
                f"{some(attributes[label].classes, 20)}"
            )
        x.append(_series(where[-1], words, attributes))
    return Part(x, np.array(y, dtype=str), where, split, padded=True)


def _attributes(
    path: Path, lines: Sequence[tuple[int, str]]
) -> tuple[list[_Attribute], Sequence[tuple[int, str]]]:
    """The attributes that the header names, and the rows after it."""
    attributes: list[_Attribute] = []
    inner: int | None = None  # attributes so far of the relational one that has not ended
    for place, (line, text) in enumerate(lines):
        tag, _, rest = re.sub(r"\s", " ", text).partition(" ")
        rest = rest.strip()
        match tag.lower():
            case "@relation":
                pass
            case "@attribute":
                attribute = _attribute(f"{path} line {line}", rest)
                if inner is None:
                    attributes.append(attribute)
                    inner = 0 if attribute.kind == RELATIONAL else None
                elif attribute.kind == "numeric":
                    inner += 1
                else:
                    raise UserError(
                        f"{path} line {line}: {attribute.name} is {attribute.kind}, not numeric"
                    )
            case "@end" if inner is not None:
                attributes[-1] = replace(attributes[-1], width=inner)
                inner = None
            case "@data":
                return attributes, lines[place + 1 :]
            case _:
                raise UserError(
                    f"{path} line {line}: {text[:40]!r} before @data; is this an .arff file?"
                )
    raise UserError(f"{path}: no @data in it; expected @attribute lines, @data and then the rows")


def _attribute(where: str, text: str) -> _Attribute:
    match = re.fullmatch(rf"({QUOTED}|[^\s{{]+)\s*(.*)", text)
    if not match:
        raise UserError(f"{where}: expected @attribute NAME TYPE")
    name, kind = _unquoted(match[1]), match[2].strip()
    if kind.startswith("{") and kind.endswith("}"):
        return _Attribute(name, "nominal", tuple(_unquoted(word) for word in _words(kind[1:-1])))
    kind = kind.partition(" ")[0].lower()
    kind = "numeric" if kind in NUMERIC else kind
    if kind not in ("numeric", RELATIONAL, "string"):
        raise UserError(
            f"{where}: attribute {name} is {kind or 'of no type'}; expected numeric, relational "
            f"or {{class,class}}"
        )
    return _Attribute(name, kind)


def _label(path: Path, attributes: Sequence[_Attribute], target: str | None) -> int:
    """The place of the attribute that holds the labels; the others must be a sequence."""
    names = [attribute.name for attribute in attributes]
    if target is not None:
        could = [i for i, name in enumerate(names) if name == target]
    else:
        could = [i for i, attribute in enumerate(attributes) if attribute.kind == "nominal"]
        could = could if len(could) == 1 else [
            i for i, name in enumerate(names) if name.lower() in TARGETS
        ]  # fmt: skip
    if len(could) != 1:
        which = f"{len(could)} attributes could be" if could else "no attribute is evidently"
        which = which if target is None else f"no attribute {target!r}, which would be"
        raise UserError(
            f"{path}: {which} the labels; name them with target=NAME; there are: {some(names)}"
        )
    others = [attribute for i, attribute in enumerate(attributes) if i != could[0]]
    relational = len(others) == 1 and others[0].kind == RELATIONAL
    wrong = [attribute for attribute in others if attribute.kind != "numeric"]
    if not others or (wrong and not relational):
        what = f"{wrong[0].name} is {wrong[0].kind}" if wrong else "there is none"
        raise UserError(
            f"{path}: beside the labels, {names[could[0]]}, all attributes must be numeric, or "
            f"there must be one relational; {what}"
        )
    return could[0]


def _series(where: str, words: Sequence[str], attributes: Sequence[_Attribute]) -> np.ndarray:
    """A series float64 [T, C]."""
    relational = next((attribute for attribute in attributes if attribute.kind == RELATIONAL), None)
    if relational is None:
        return numbers(where, words)[:, None]
    channels = [numbers(where, row.split(",")) for row in _unquoted(words[0]).split(r"\n")]
    for number, channel in enumerate(channels, 1):
        if len(channel) != relational.width:
            raise UserError(
                f"{where}: channel {number} has {len(channel)} steps, the header names "
                f"{relational.width}"
            )
    return np.stack(channels, axis=1)


def _words(text: str) -> list[str]:
    """What stands between the commas of a row, but for commas that are quoted."""
    if "'" not in text and '"' not in text:
        return text.split(",")
    words = []
    for word, comma in re.findall(rf"((?:{QUOTED}|[^,])*)(,|$)", text):
        words.append(word)
        if not comma:
            break
    return words


def _unquoted(word: str) -> str:
    word = word.strip()
    if re.fullmatch(QUOTED, word):
        word = re.sub(r"\\(['\"\\])", r"\1", word[1:-1])
    return word
