"""Means of values of which some may be missing.

Sums are exact (`fsum`): Python 3.12 rounds those of `sum` otherwise than Python 3.11, and a board
must be the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean


def mean_of_all(values: Sequence[float | None]) -> float | None:
    """The mean; None where there is no value, or one is missing."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def mean_of_known(values: Sequence[float | None], weights: Sequence[int]) -> float | None:
    """The weighted mean of the values that exist; None where none has a weight."""
    pairs = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None and w]
    return math.fsum(v * w for v, w in pairs) / sum(w for _, w in pairs) if pairs else None
