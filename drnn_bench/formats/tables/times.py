"""Times written as text -> numbers in their order.

Read are ISO dates (2024-03-01T10:05:00+01:00), days or months first where one row tells
which, a clock (h:m:s or m:s, AM and PM), and a word with a number (t0, t1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.number_text import is_number

COUNTED = re.compile(r"(\D+)(\d+)")  # t0
MOMENT = re.compile(
    r"(?:(?P<a>\d{1,4})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{1,4}))?(?:T|\s*)"
    r"(?:(?P<h>\d+):(?P<m>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>[Zz]|[-+]\d{2}:?\d{2})?"
)
EPOCH = datetime(1970, 1, 1).toordinal()
INSTEAD = "write numbers, or dates as 2024-03-01T10:05:00"


def in_order(texts: Sequence[str], where: Callable[[int], str], name: str) -> np.ndarray:
    """The times of a column as numbers [R], int64 or float64, in the same order. Raises UserError,
    which names the row by `where`, for a text that is no time, or could mean two times."""
    texts = [text.strip() for text in texts]
    if all(map(is_number, texts)):
        return np.array(texts, dtype=np.float64)
    counted = [match for text in texts if (match := COUNTED.fullmatch(text))]
    if len(counted) == len(texts) and len({match[1] for match in counted}) == 1:
        return np.array([int(match[2]) for match in counted])
    moments: list[re.Match[str]] = []
    for row, text in enumerate(texts):
        moment = None if is_number(texts[0]) else MOMENT.fullmatch(text)
        if moment and (moment["a"] or moment["h"]):
            moments.append(moment)
        elif not (is_number(texts[0]) and is_number(text)):
            raise UserError(
                f"{where(row)}: column {name!r} has {text[:40]!r}, no time that is read; {INSTEAD}"
            )
    return _numbers(moments, where, name)


def has_date(text: str) -> bool:
    """Whether a time written as text has a date in it."""
    moment = MOMENT.fullmatch(text.strip())
    return bool(moment and moment["a"])


def passes_midnight(time: np.ndarray, day: float) -> bool:
    """Whether times of day [T], in the order of the file, rise and fall once, by more than half a
    day. `day` is the length of a day in their unit."""
    falls = np.flatnonzero(time[1:] < time[:-1])
    if len(falls) != 1 or time[-1] >= time[0]:
        return False
    return bool(time[falls[0]] - time[falls[0] + 1] > day / 2)


def _numbers(moments: list[re.Match[str]], where: Callable[[int], str], name: str) -> np.ndarray:
    """Nanoseconds [R] since 1970, or since midnight, from the parsed text of each row."""
    first = moments[0]
    for part, what in (("a", "a date"), ("s", "seconds"), ("half", "AM or PM"), ("zone", "a zone")):
        if part == "s" and first["a"]:
            continue  # without seconds is 0 seconds; of a clock alone 7:05 may be minutes
        there = [moment[part] is not None for moment in moments]
        other = there.index(not there[0]) if len(set(there)) > 1 else None
        if other is not None:
            has, lacks = (0, other) if first[part] else (other, 0)
            raise UserError(
                f"{where(lacks)}: column {name!r} has {moments[lacks][0]!r} without {what}, and "
                f"row {has + 1} has {moments[has][0]!r}; write all times alike"
            )
    order = _order(moments, where, name) if first["a"] else None
    numbers = [_moment(m, order, where, row, name) for row, m in enumerate(moments)]
    numbers = np.array(numbers)
    return numbers if numbers.dtype == np.int64 else numbers.astype(np.float64)  # years 1677, 2263


def _order(moments: list[re.Match[str]], where: Callable[[int], str], name: str) -> str:
    """Which of a, b, c in a date are year, month and day: ymd, dmy or mdy."""
    if all(len(m["a"]) == 4 for m in moments):
        return "ymd"
    for row, moment in enumerate(moments):
        if len(moment["c"]) != 4:
            raise UserError(
                f"{where(row)}: column {name!r} has {moment[0]!r}, whose year has not four digits "
                f"as elsewhere; {INSTEAD}"
            )
    if all(m["sep"] == "." for m in moments):
        return "dmy"  # points are between days, months and years only
    day_first = next((m for m in moments if int(m["a"]) > 12), None)
    month_first = next((m for m in moments if int(m["b"]) > 12), None)
    if day_first and not month_first:
        return "dmy"
    if month_first and not day_first:
        return "mdy"
    why = (
        f"some with the day first ({day_first[0]}), some with the month ({month_first[0]})"
        if day_first and month_first
        else f"such as {moments[0][0]}, and no row tells whether the day or the month is first"
    )
    raise UserError(f"{where(0)}: column {name!r} has dates {why}; {INSTEAD}")


def _moment(
    match: re.Match[str], order: str | None, where: Callable[[int], str], row: int, name: str
) -> int:
    hour, minute, second = (int(match[part] or 0) for part in ("h", "m", "s"))
    if not order and not match["half"] and match["s"] is None:
        hour, minute, second = 0, hour, minute  # 7:05 without a date: minutes and seconds
        valid = second < 60
    else:
        valid = minute < 60 and second < 60 and (not order or hour < 24)
    if match["half"]:
        valid = valid and 1 <= hour <= 12
        hour = hour % 12 + 12 * (match["half"][0] in "pP")
    days = 0
    if order:
        fields = dict(zip(order, (int(match[part]) for part in "abc"), strict=True))
        try:
            days = datetime(fields["y"], fields["m"], fields["d"]).toordinal() - EPOCH
        except ValueError:
            valid = False
    if not valid:
        raise UserError(
            f"{where(row)}: column {name!r} has {match[0]!r}, and there is no such time; {INSTEAD}"
        )
    since = timedelta(days=days, hours=hour, minutes=minute, seconds=second) - _offset(
        match["zone"]
    )
    whole = (since.days * 86_400 + since.seconds) * 10**9
    return whole + int((match["f"] or "0").ljust(9, "0"))


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta(0)
    return datetime.strptime(zone, "%z").utcoffset() or timedelta(0)
