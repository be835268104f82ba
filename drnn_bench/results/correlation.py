"""The correlation of mean recurrent length (MRL) with accuracy: a test of the paper's claim
(Chang et al. 2017).

It is taken within one cell type, over the complete trials of a study that drew at random and
pruned nothing: trials that a sampler chose or a pruner stopped are no sample of the space. It
remains a correlation: MRL counts edges, not gradient decay, and depth and width move with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from drnn_bench.results.significance import LEVEL

Row = dict[str, Any]


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation over n pairs; its interval is None where there is none."""

    rho: float
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        if self.low is None:
            return f"{self.rho:+.2f} (n = {self.n}, no interval)"
        return f"{self.rho:+.2f} (95 % interval {self.low:+.2f} to {self.high:+.2f}, n = {self.n})"


def spearman(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """None for fewer than three pairs, or where one side never varies. Ties share their mean
    rank; infinity is the largest value.

    The interval is Fisher's, with Bonett and Wright's variance (2000), (1 + rho^2/2) / (n - 3);
    there is none for fewer than five pairs or for a perfect correlation.
    """
    n = len(x)
    ranks = _ranks(x), _ranks(y)
    if n < 3 or any(np.ptp(side) == 0 for side in ranks):
        return None
    rho = float(np.clip(np.corrcoef(*ranks)[0, 1], -1, 1))
    if n < 5 or math.isclose(abs(rho), 1):
        return Correlation(rho, n)
    half = float(ndtri((1 + LEVEL) / 2)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return Correlation(rho, n, math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half))


def _ranks(values: Sequence[float]) -> np.ndarray:
    """The rank of each value, from 1; equal ones share the mean of theirs."""
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def is_sample(study: Row) -> bool:
    """Whether a study's complete trials are a fair sample of its space, all at full steps."""
    return study["sampler"] == "random" and study["pruner"] == "none"


def cell_type(family: str, config: Row) -> str:
    """The family, with the cell where it has several: only nets of one cell type are compared."""
    return f"{family} {config['cell']}" if "cell" in config else family


def mrl_correlations(study: Row) -> dict[str, Correlation | None]:
    """MRL against validation, for each cell type of a random study; empty for any other study.

    Where some nets cannot cross every span, their MRL is infinite and may alone make the
    correlation: the nets of finite MRL then have an entry of their own, `CELL of finite MRL`.
    """
    if not is_sample(study):
        return {}
    cells: dict[str, list[tuple[float, float]]] = {}
    for trial in study["complete"]:
        if math.isfinite(trial["value"]):
            cell = cell_type(study["family"], trial["config"])
            cells.setdefault(cell, []).append((float(trial["mrl"]), trial["value"]))
    correlations = {}
    for cell, pairs in sorted(cells.items()):
        finite = [pair for pair in pairs if math.isfinite(pair[0])]
        correlations[cell] = _correlation(pairs)
        if len(finite) < len(pairs):
            correlations[f"{cell} of finite MRL"] = _correlation(finite)
    return correlations


def _correlation(pairs: list[tuple[float, float]]) -> Correlation | None:
    return spearman([mrl for mrl, _ in pairs], [value for _, value in pairs])
