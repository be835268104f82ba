"""Families over several tasks and budgets together: interquartile mean and performance profile.

After Agarwal et al. (2021, rliable). A final's test metric becomes a score: 0 is guessing, 1 the
best that the metric can be (accuracy 1, an error 0), so a score does not depend on who else is on
the board. Nothing is clipped: worse than guessing is below 0. Every group counts alike, and within
it every final: a group that was searched three times is no three groups. Groups of different
protocols never count together.

Legend: F finals of a family, D draws of the bootstrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.significance import LEVEL

DRAWS, SEED = 2_000, 0


@dataclass(frozen=True)
class Standing:
    """A family over all groups: its scores, group by group; their interquartile mean with the ends
    of the bootstrap's 95 % interval."""

    family: str
    strata: tuple[tuple[float, ...], ...]
    iqm: float
    low: float
    high: float

    @property
    def scores(self) -> list[float]:
        return [score for stratum in self.strata for score in stratum]

    def share_above(self, score: float) -> float:
        """The performance profile: the share of finals with a higher score, in the mean over the
        groups."""
        return float(np.mean([np.mean(np.asarray(s) > score) for s in self.strata]))


@dataclass(frozen=True)
class Together:
    """What counts together: groups of one protocol, and the families with finals in each of them,
    the best first. Empty where fewer than two families have. `left_out`: groups that do not count,
    and why."""

    protocol: int
    groups: tuple[BoardGroup, ...]
    standings: tuple[Standing, ...]
    left_out: tuple[tuple[BoardGroup, str], ...]


def together(groups: Sequence[BoardGroup]) -> list[Together]:
    """One for each protocol, the latest first, that has at least two groups in which families can
    be compared: two families have finals, and guessing is known."""
    found = []
    for protocol in sorted({group.protocol for group in groups}, reverse=True):
        counted: list[BoardGroup] = []
        left_out: list[tuple[BoardGroup, str]] = []
        for group in groups:
            if group.protocol == protocol:
                why = _why_not(group)
                if why is None:
                    counted.append(group)
                else:
                    left_out.append((group, why))
        if len(counted) > 1:
            standings = _standings(counted)
            found.append(Together(protocol, tuple(counted), standings, tuple(left_out)))
    return found


def _why_not(group: BoardGroup) -> str | None:
    if len(_tested(group)) < 2:
        return "fewer than two families with finals"
    if group.guessing is None:
        return "guessing not recorded"
    if group.shown_as.best is None:
        return "the metric has no best possible value"
    if group.guessing == group.shown_as.best:
        return "guessing is perfect"
    return None


def _tested(group: BoardGroup) -> dict[str, BoardLine]:
    """By family, the line with finals that stands for it: of several the best validated."""
    lines: dict[str, BoardLine] = {}
    for line in group.lines:
        known = lines.get(line.family)
        if line.n and (known is None or _better_validated(line, known)):
            lines[line.family] = line
    return lines


def _better_validated(line: BoardLine, other: BoardLine) -> bool:
    if line.direction == "max":
        return line.validation_best > other.validation_best
    return line.validation_best < other.validation_best


def _standings(groups: list[BoardGroup]) -> tuple[Standing, ...]:
    tested = [_tested(group) for group in groups]
    families = [name for name in tested[0] if all(name in lines for lines in tested)]
    if len(families) < 2:
        return ()
    pairs = list(zip(groups, tested, strict=True))
    standings = [
        standing(name, [scores(group, lines[name]) for group, lines in pairs]) for name in families
    ]
    return tuple(sorted(standings, key=lambda x: (-x.iqm, x.family)))


def standing(family: str, strata: Sequence[Sequence[float]]) -> Standing:
    """Of a family's scores, at least one in each group."""
    weights_F = np.concatenate([np.full(len(s), 1 / len(s) / len(strata)) for s in strata])
    means_D = _interquartile_means(_resampled(strata), weights_F)
    low, high = np.quantile(means_D, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    whole_F = np.concatenate([np.asarray(stratum, float) for stratum in strata])
    iqm = float(_interquartile_means(whole_F[None], weights_F)[0])
    return Standing(family, tuple(map(tuple, strata)), iqm, float(low), float(high))


def scores(group: BoardGroup, line: BoardLine) -> list[float]:
    """The finals' test metric, 0 where it is that of guessing and 1 where it is perfect."""
    assert group.guessing is not None
    perfect = group.shown_as.best
    assert perfect is not None
    return [(test - group.guessing) / (perfect - group.guessing) for test in line.tests]


def _interquartile_means(values_DF: np.ndarray, weights_F: np.ndarray) -> np.ndarray:
    """Means [D] without the lowest and the highest quarter of the weight, which is 1 in all. Of a
    final at the edge of a quarter counts the part of its weight that is inside."""
    order_DF = np.argsort(values_DF, axis=1)
    upto_DF = np.cumsum(weights_F[order_DF], axis=1)
    inside_DF = np.clip(upto_DF, 0.25, 0.75)
    inside_DF -= np.clip(upto_DF - weights_F[order_DF], 0.25, 0.75)
    kept_DF = inside_DF * np.take_along_axis(values_DF, order_DF, axis=1)
    return kept_DF.sum(axis=1) / inside_DF.sum(axis=1)


def _resampled(strata: Sequence[Sequence[float]]) -> np.ndarray:
    """Draws [D, F] with replacement, each group from its own finals. The seed is fixed, so the same
    scores give the same interval."""
    rng = np.random.default_rng(SEED)
    return np.concatenate(
        [rng.choice(np.asarray(s, float), (DRAWS, len(s))) for s in strata], axis=1
    )
