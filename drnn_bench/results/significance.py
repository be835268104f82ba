"""How much of a board may be chance: intervals over seeds, and ranks that ties share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit  # scipy.stats takes a second to import

from drnn_bench.results.outcomes import in_one_form

LEVEL = 0.95


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * error
    return mean - half, mean + half


def prediction_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval of one more value of a normal sample, mean -+ t s sqrt(1 + 1/n); None
    for fewer than two values."""
    if len(values) < 2:
        return None
    n, mean, deviation = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * deviation * math.sqrt(1 + 1 / n)
    return mean - half, mean + half


def welch_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the hypothesis that two means are equal (Welch 1947); 1 where a sample has
    fewer than two values."""
    if len(a) < 2 or len(b) < 2:
        return 1.0
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return 1.0 if a[0] == b[0] else 0.0
    return _two_sided(float(np.mean(a)) - float(np.mean(b)), [np.asarray(a), np.asarray(b)])


def _two_sided(difference: float, samples: Sequence[np.ndarray]) -> float:
    """P(|T| >= |t|) for t = difference / sqrt V, where V is the sum of the variances of the means
    of some samples. The degrees of freedom are Welch's and Satterthwaite's. Where V is 0, 1 or 0:
    whether there is no difference."""
    variances = [float(np.var(x, ddof=1)) / len(x) for x in samples]
    whole = math.fsum(variances)
    if whole == 0:
        return 1.0 if difference == 0 else 0.0
    # Shares of V, as the squares of variances may be too small or too large for a float.
    parts = [(v / whole) ** 2 / (len(x) - 1) for v, x in zip(variances, samples, strict=True)]
    return float(2 * stdtr(1 / math.fsum(parts), -abs(difference / math.sqrt(whole))))


def holm(p_values: Sequence[float]) -> list[bool]:
    """Which hypotheses are rejected at 5 % by Holm's step-down procedure (Holm 1979)."""
    rejected = [False] * len(p_values)
    for passed, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] > (1 - LEVEL) / (len(p_values) - passed):
            break
        rejected[i] = True
    return rejected


def rank_intervals(samples: Sequence[Sequence[float]], direction: str) -> list[tuple[int, int]]:
    """For each of n samples the first and the last rank it may hold: 1 + the number of samples that
    are significantly better, and n - the number that are significantly worse.

    Pairs are compared by Welch's test with Holm's correction over all pairs. `direction`: max or
    min, the better end.
    """
    return rank_intervals_of(told_apart(samples, direction), len(samples))


def paired_rank_intervals(
    samples: Sequence[Sample], direction: str, margin: float
) -> list[tuple[int, int]]:
    """The same where pairs are compared by `paired_p`."""
    return rank_intervals_of(paired_told_apart(samples, direction, margin), len(samples))


def told_apart(samples: Sequence[Sequence[float]], direction: str) -> list[tuple[int, int]]:
    """The pairs that Welch's test with Holm's correction tells apart, as (better, worse)."""
    pairs = _pairs(len(samples))
    p_values = [welch_p(samples[i], samples[j]) for i, j in pairs]
    return _better_first(samples, pairs, p_values, direction)


def paired_told_apart(
    samples: Sequence[Sample], direction: str, margin: float
) -> list[tuple[int, int]]:
    """The same where pairs are compared by `paired_p`."""
    pairs = _pairs(len(samples))
    p_values = [paired_p(samples[i], samples[j], margin) for i, j in pairs]
    return _better_first([s.tests for s in samples], pairs, p_values, direction)


def rank_intervals_of(apart: Sequence[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    """The ranks of n samples, from the pairs (better, worse) that are told apart."""
    better, worse = Counter(loser for _, loser in apart), Counter(winner for winner, _ in apart)
    return [(1 + better[i], n - worse[i]) for i in range(n)]


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(i)]


def _better_first(
    tests: Sequence[Sequence[float]],
    pairs: Sequence[tuple[int, int]],
    p_values: Sequence[float],
    direction: str,
) -> list[tuple[int, int]]:
    """The pairs that differ significantly, the better sample first."""
    sign = 1 if direction == "max" else -1
    means = [sign * (float(np.mean(s)) if len(s) else -math.inf) for s in tests]
    return [
        (i, j) if means[i] > means[j] else (j, i)
        for (i, j), sure in zip(pairs, holm(p_values), strict=True)
        if sure
    ]


@dataclass(frozen=True)
class Sample:
    """What one family did: its test metric for each seed, and the mean over its seeds of what
    happened on each test example (or block of examples), in the metric's unit [N]; empty where
    that is not known."""

    tests: Sequence[float]
    outcomes_N: np.ndarray


def paired_p(a: Sample, b: Sample, margin: float = 0.0) -> float:
    """Two-sided p of the hypothesis that two families differ by no more than `margin`.

    Both kinds of chance count: another seed, and other test examples. Examples are paired, since
    all nets read the same; seeds are not.

        V = s2A/nA + s2B/nB + var over examples of (mean outcome A - mean outcome B) / N
        t = max(0, |difference| - margin) / sqrt V

    with Welch-Satterthwaite degrees of freedom. 1 where a family has fewer than two seeds. Without
    the third term where the outcomes of a family are not known.
    """
    if len(a.tests) < 2 or len(b.tests) < 2:
        return 1.0
    difference = abs(float(np.mean(a.tests)) - float(np.mean(b.tests)))
    beyond = max(0.0, difference - margin)
    samples = [np.asarray(a.tests), np.asarray(b.tests)]
    a_N, b_N = in_one_form([a.outcomes_N, b.outcomes_N])
    if len(a_N) == len(b_N) > 1:
        samples.append(a_N - b_N)
    return _two_sided(beyond, samples)


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval (Wilson 1927) of a share, after `hits` in `count` draws."""
    z, share = float(ndtri((1 + LEVEL) / 2)), hits / count
    middle = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = ((middle + side * half) / (1 + z**2 / count) for side in (-1, 1))
    return (0.0 if hits == 0 else low), (1.0 if hits == count else high)
