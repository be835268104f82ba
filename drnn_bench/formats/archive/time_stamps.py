"""Time stamps in .ts files: a step is (time,value), the time a number or a date.

Sequences have no times, only an order. So stamps must be equally spaced, by the same step in all
sequences, and all channels of a sequence must have the same stamps.

Legend: T steps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.archive.text_rows import numbers

TOLERANCE = 0.05  # of a step: times are rounded to some digits


class Spacing(NamedTuple):
    step: float  # seconds, where times are dates
    where: str  # the first sequence that has it


def split_channels(text: str) -> list[str]:
    """The parts of a row between its colons, but for those within parentheses: 10:05:00."""
    return re.split(r":(?![^(]*\))", text)


def stamped(where: str, channel: str) -> tuple[np.ndarray, np.ndarray]:
    """The times float64 [T] and the values float64 [T] of one channel: (0,1.5),(1,2.5)."""
    channel = channel.strip()
    if not re.fullmatch(r"\([^()]*\)(\s*,\s*\([^()]*\))*", channel):
        raise UserError(
            f"{where}: {channel[:40]!r} is no row of (time,value), which @timeStamps true promises"
        )
    pairs = [pair.split(",") for pair in re.findall(r"\(([^()]*)\)", channel)]
    for step, pair in enumerate(pairs, 1):
        if len(pair) != 2:
            raise UserError(f"{where}: ({','.join(pair)[:40]}) at step {step}, not (time,value)")
    times = np.array([_time(where, step, pair[0]) for step, pair in enumerate(pairs, 1)])
    return times, numbers(where, [value for _, value in pairs])


def spaced(where: str, times: Sequence[np.ndarray], known: Spacing | None) -> Spacing | None:
    """The spacing of a sequence, whose channels have the stamps `times` (each [T]). `known` is the
    spacing of the sequences before it, and is returned where this one has one step. Raises
    UserError where stamps are not equally spaced, or not as before."""
    first = times[0]
    for channel, other in enumerate(times[1:], 2):
        if len(other) == len(first) and (other != first).any():
            raise UserError(f"{where}: the times of channel {channel} are not those of channel 1")
    if len(first) < 2:
        return known
    step = float(first[-1] - first[0]) / (len(first) - 1)
    even = first[0] + step * np.arange(len(first))
    if step <= 0 or np.abs(first - even).max() > TOLERANCE * step:
        raise UserError(
            f"{where}: its times are not equally spaced, and only such are read; bring the "
            f"sequence to equal steps first"
        )
    if known is None:
        return Spacing(step, where)
    if abs(step - known.step) > TOLERANCE * known.step:
        raise UserError(
            f"{where}: its times are {step:g} apart, those of {known.where} {known.step:g}; bring "
            f"all sequences to one step first"
        )
    return known


def _time(where: str, step: int, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(word.strip())
    except ValueError:
        raise UserError(
            f"{where}: the time {word[:40]!r} at step {step} is no number and no date "
            f"(2024-01-31 10:05:00)"
        ) from None
    return (date - datetime(1970, 1, 1, tzinfo=date.tzinfo)).total_seconds()
