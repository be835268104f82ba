"""Which rows of its inputs each tap of a causal convolution reads.

Legend: S outputs, k taps, the newest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, eq=False)
class Taps:
    """rows_kS   the row of the inputs that a tap of an output reads
    starts_k  the first output of which a tap lies within the sequence; `rows_kS` counts from it on
    first_kS  1 where a row is read for the first time, of outputs from the last to the first, and
              of an output's taps from the newest to the oldest
    whole     whether every row of the inputs is read
    """

    rows_kS: np.ndarray
    starts_k: np.ndarray
    first_kS: np.ndarray
    whole: bool

    @property
    def outputs(self) -> int:
        return self.rows_kS.shape[1]


@lru_cache(maxsize=64)
def every_step(steps: int, taps: int, dilation: int) -> Taps:
    """Those of all steps of a sequence, which reads all of them."""
    every = np.arange(steps)
    return at_steps(every, every, taps, dilation)


def at_steps(inputs: np.ndarray, outputs: np.ndarray, taps: int, dilation: int) -> Taps:
    """`inputs`: the steps whose rows there are, ascending, with all that `outputs` read."""
    steps_kS = outputs - dilation * np.arange(taps)[:, None]
    rows_kS = np.searchsorted(inputs, steps_kS.clip(min=0))
    # Read from the last output to the first, a row's first reading has the smallest number.
    number_kS = (len(outputs) - 1 - np.arange(len(outputs))) * taps + np.arange(taps)[:, None]
    within_kS = steps_kS >= 0
    smallest = np.full(len(inputs), number_kS.size)
    np.minimum.at(smallest, rows_kS[within_kS], number_kS[within_kS])
    return Taps(
        rows_kS=rows_kS,
        starts_k=len(outputs) - within_kS.sum(1),
        first_kS=((smallest[rows_kS] == number_kS) & within_kS).astype(np.int64),
        whole=bool((smallest < number_kS.size).all()),
    )


def steps_read(outputs: np.ndarray, taps: int, dilation: int) -> np.ndarray:
    """The steps that these outputs read, ascending."""
    steps_kS = outputs - dilation * np.arange(taps)[:, None]
    return np.unique(steps_kS[steps_kS >= 0])
