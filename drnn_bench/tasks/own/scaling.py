"""Channels as a net receives them: shifted and scaled, missing values filled in.

Every channel is shifted by the mean and divided by the standard deviation of its training steps.
All of that is done in float64 and cast to float32 last: of a coordinate near 5,600,000 or a time in
milliseconds float32 holds little but its mean. A channel that has one value in all of training is
constant: it is shifted to zero and divided by one.

Missing values count for neither mean nor deviation. With `missing=ffill` a missing value repeats
the one before it; where a sequence begins with it, it is the training mean (zero, once scaled).
With `missing=zero+mask` it is the training mean, and every channel that has missing values in any
split gets a second one after all others, its mask: 1 where the value is missing, else 0.

Legend: S steps of many sequences, T steps of one, C channels, I inputs (channels and masks).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.numbers import Offsets

CHUNK = 2**20  # numbers that are float64 at a time
MASKS = "zero+mask"


@dataclass(frozen=True)
class Scaling:
    mean: np.ndarray  # float64 [C]
    deviation: np.ndarray  # float64 [C], of a constant channel 1
    constant: tuple[int, ...]  # channels, counted from 0
    masked: tuple[int, ...]  # channels that have a mask, counted from 0
    missing: str

    @property
    def inputs(self) -> int:
        return len(self.mean) + len(self.masked)

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """A series [T, C] as float32 [T, I]; infinite where float32 has no such number."""
        with np.errstate(over="ignore"):
            scaled = ((x.astype(np.float64) - self.mean) / self.deviation).astype(np.float32)
        if self.missing == "refuse":  # nothing is missing
            return scaled
        missing = np.isnan(scaled)
        if self.missing == "ffill":
            scaled = _repeated(scaled, missing)
        scaled[np.isnan(scaled)] = 0
        return np.concatenate([scaled, missing[:, self.masked]], 1, dtype=np.float32)

    def facts(self, offset: Offsets) -> dict[str, Any]:
        """What a user of a trained net must do with raw numbers, as JSON values."""
        facts: dict[str, Any] = {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        if any(offset):
            facts["offset"] = list(offset)
        if self.missing != "refuse":
            facts["missing"] = self.missing
        if self.masked:
            facts["masked"] = [c in self.masked for c in range(len(self.mean))]
        return facts


def scaling_of(
    train: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    missing: str,
    called: Callable[[int], str],
) -> Scaling:
    """From series [T, C] of the training split; `others` are those of the other splits, and
    `called` names a channel in messages."""
    low, high, count = _range(train)
    if not count.all():
        raise UserError(
            f"{called(int(count.argmin()))} has no value in any training sequence; leave it out"
        )
    span = np.where(high > low, high - low, 1)
    total, squares = np.zeros_like(low), np.zeros_like(low)
    for chunk in _chunks(train):  # as parts of the span: squares of 1e-200 would be 0
        part = np.nan_to_num((chunk - low) / span)
        total += part.sum(0)
        squares += np.square(part).sum(0)
    share = total / count
    variance = np.maximum(squares / count - share**2, 0.5 / count)  # the least there can be
    tiny = np.finfo(np.float64).smallest_subnormal
    constant = high == low
    masked = ()
    if missing == MASKS:
        masked = tuple(np.flatnonzero(_with_missing(train) | _with_missing(others)).tolist())
    return Scaling(
        mean=np.where(constant, low, low + span * share),
        deviation=np.where(constant, 1, np.maximum(span * np.sqrt(variance), tiny)),
        constant=tuple(np.flatnonzero(constant).tolist()),
        masked=masked,
        missing=missing,
    )


def _chunks(xs: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """All steps [S, C], some at a time, as float64."""
    rows, size = [], 0
    for x in xs:
        for start in range(0, len(x), CHUNK):
            rows.append(x[start : start + CHUNK])
            size += rows[-1].size
            if size >= CHUNK:
                yield np.concatenate(rows, dtype=np.float64)
                rows, size = [], 0
    if rows:
        yield np.concatenate(rows, dtype=np.float64)


def _range(xs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each channel the least value, the greatest and how many there are."""
    channels = xs[0].shape[1]
    low, high = np.full(channels, math.inf), np.full(channels, -math.inf)
    count = np.zeros(channels, np.int64)
    for chunk in _chunks(xs):
        low = np.fmin(low, np.fmin.reduce(chunk, 0))  # fmin and fmax pass over NaN
        high = np.fmax(high, np.fmax.reduce(chunk, 0))
        count += (~np.isnan(chunk)).sum(0)
    return low, high, count


def _with_missing(xs: Sequence[np.ndarray]) -> np.ndarray:
    """Which channels [C] have missing values."""
    with_nan = [np.isnan(x).any(0) for x in xs if x.dtype.kind == "f"]
    return np.any(with_nan, axis=0) if with_nan else np.zeros(xs[0].shape[1], bool)


def _repeated(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """A series [T, C] in which what is missing repeats what is before it, if anything is."""
    place = np.where(missing, 0, np.arange(len(x))[:, None])
    return np.take_along_axis(x, np.maximum.accumulate(place, axis=0), 0)
