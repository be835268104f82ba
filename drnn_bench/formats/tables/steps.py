"""The columns of a wide table as steps, in the order of the numbers in their names. A name without
its number is a stem; each stem is a channel. t1, t10, t2 are three steps of one channel; x_0, y_0,
x_1, y_1 are two steps of two channels.

Legend: T steps, C channels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from drnn_bench.formats.number_text import is_number

Stem = tuple[str, str]  # what stands before the number and after it
LAST = re.compile(r"(.*?)(\d+)(\D*)")  # the last number in a name
LAST_REAL = re.compile(r"(.*?)(\d+(?:\.\d+)?)(\D*)")  # t0.5 is half a second
UNIT = re.compile(r"\s*[(\[][^()\[\]]*[)\]]$")  # t1 [s]
DATE = re.compile(r"\d{4}([-/.]\d{1,2}){1,2}([T ].*)?")


@dataclass(frozen=True)
class Layout:
    channels: tuple[tuple[str, ...], ...]  # [C][T] names of columns
    names: tuple[str, ...] = ()  # [C], where there are several
    odd: tuple[str, ...] = ()  # columns unlike the numbered ones
    ragged: tuple[str, ...] = ()  # stems with other steps than the first stem
    numbered: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for channel in self.channels for name in channel)


def layout(columns: Sequence[str]) -> Layout:
    """The layout of columns, which keep the order of the file where their names have no numbers."""
    real = [name for name in columns if is_number(name)]
    if len(real) > 1:
        odd = tuple(name for name in columns if name not in set(real))
        return Layout((tuple(sorted(real, key=float)),), odd=odd, numbered=True)
    dates = [name for name in columns if DATE.fullmatch(name)]
    if len(dates) > 1:
        odd = tuple(name for name in columns if name not in set(dates))
        return Layout((tuple(sorted(dates)),), odd=odd, numbered=True)
    families = _families(columns, LAST_REAL) or _families(columns, LAST) or {}
    if not families:
        return Layout((tuple(columns),))
    channels = [
        tuple(members[number] for number in sorted(members)) for members in families.values()
    ]
    steps = [sorted(members) for members in families.values()]
    called = [_called(stem) for stem in families]
    inside = {name for channel in channels for name in channel}
    return Layout(
        channels=tuple(channels),
        names=tuple(called) if len(called) > 1 else (),
        odd=tuple(name for name in columns if name not in inside),
        ragged=tuple(name for name, own in zip(called, steps, strict=True) if own != steps[0]),
        numbered=True,
    )


def _families(columns: Sequence[str], number: re.Pattern) -> dict[Stem, dict[float, str]] | None:
    """stem -> number -> column, of stems that have two columns; None where a number repeats."""
    families: dict[Stem, dict[float, str]] = {}
    for name in columns:
        match = number.fullmatch(UNIT.sub("", name))
        if not match or match[1][:1].isdigit():  # 2019Q1: no stem
            continue
        members = families.setdefault((match[1], match[3]), {})
        if members.setdefault(float(match[2]), name) is not name:
            return None
    _join_signs(families)
    return {stem: members for stem, members in families.items() if len(members) > 1}


def _join_signs(families: dict[Stem, dict[float, str]]) -> None:
    """t-2, t-1, t, t0, t+1 are of one stem: the hyphen is a minus sign where t or t+ is there."""
    for before, after in list(families):
        plain, plus = (before[:-1], after), (before[:-1] + "+", after)
        if not before.endswith("-") or not (plain in families or plus in families):
            continue
        members = {-number: name for number, name in families.pop((before, after)).items()}
        for stem in (plain, plus):
            members |= families.pop(stem, {})
        families[plain] = members


def _called(stem: Stem) -> str:
    before, after = (part.strip("_-. ") for part in stem)
    return "_".join(part for part in (before, after) if part)
