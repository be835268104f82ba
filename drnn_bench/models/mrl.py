"""Mean recurrent length (Chang et al. 2017, section 3), exact, from an architecture's edges.

d_i(n) is the length of the shortest path from the input at step i to the output at step i+n.
Recurrent edges cost 1, and so do feed-forward edges, of which every path carries the same number
L (input -> layer 1 -> ... -> layer L, the top hidden node being the output node). Then

    MRL = (1/m) * sum over n = 1..m of max over i of d_i(n)

with m the period of the net's cyclic graph, which is its largest dilation. A plain stack has
period 1, and its value by the letter, L + 1, says nothing beside a dilated net's: to compare
families, take one horizon N for all, the spans 1..N.

MRL counts edges. It says nothing of how a gradient decays along each of them.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Architecture, Paths, at_least


def mean_recurrent_length(config: Architecture, horizon: int | None = None) -> float:
    """MRL over the spans 1..horizon, in edges; by default over one period m, as the paper has it
    (Chang et al. 2017, section 3).

        >>> net = drnn_bench.configure("dilated_rnn", input_size=1, output_size=10, width=20)
        >>> round(drnn_bench.mean_recurrent_length(net), 4)
        13.0039

    Infinite where some span cannot be crossed. Raises UserError for a horizon below 1, or for a
    convolution without a horizon: it has no period.
    """
    if horizon is None:
        if config.period is None:
            raise UserError(f"{config.family} has no recurrent period: give a horizon")
        horizon = config.period
    at_least("horizon", horizon, 1)
    return float(path_lengths(config.paths, horizon)[1:].mean())


def path_lengths(paths: Paths, horizon: int) -> np.ndarray:
    """max_i d_i(n) for n = 0..horizon, as floats; infinity where the span cannot be crossed."""
    recurrent = fewest_edges(paths.spans, horizon)
    offsets = _offsets(paths.windows, horizon)
    if not paths.spans:
        return np.where(offsets, 0.0, np.inf) + paths.edges
    far = np.flatnonzero(offsets)
    if len(far) == far[-1] + 1:  # every span up to the farthest
        return _over_taps(np.minimum, recurrent, 1, len(far)) + paths.edges
    best = np.full(horizon + 1, np.inf)
    for offset in far:
        np.minimum(best[offset:], recurrent[: horizon + 1 - offset], out=best[offset:])
    return best + paths.edges


def reach(config: Architecture) -> int | None:
    """The largest span a net can see (receptive field - 1); None where nothing bounds it."""
    if config.paths.spans:
        return None
    return sum(max(window) for window in config.paths.windows)


def fewest_edges(spans: tuple[int, ...], horizon: int) -> np.ndarray:
    """The fewest recurrent edges that cross exactly n steps, n = 0..horizon.

    This is change-making with the spans as coins. Where each span divides the next, as in every
    dilated net of the paper, taking the largest first is optimal: for spans M^0..M^(L-1) and
    n < M^L, the digit sum of n in base M.
    """
    rest = np.arange(horizon + 1)
    coins = sorted(set(spans))
    if all(b % a == 0 for a, b in pairwise(coins)):
        count = np.zeros(horizon + 1)
        for coin in reversed(coins):
            taken, rest = np.divmod(rest, coin)
            count += taken
        count[rest > 0] = np.inf
        return count
    count = [0.0]
    for n in range(1, horizon + 1):
        count.append(1 + min((count[n - c] for c in coins if c <= n), default=np.inf))
    return np.array(count)


def _offsets(windows: tuple[tuple[int, ...], ...], horizon: int) -> np.ndarray:
    """Which spans 0..horizon the convolutions can cross between them, one tap each."""
    reached = np.zeros(horizon + 1, dtype=bool)
    reached[0] = True
    for window in windows:
        step = window[1] - window[0] if len(window) > 1 else 1
        if tuple(window) == tuple(range(0, step * len(window), step)):
            reached = _over_taps(np.logical_or, reached, step, len(window))
            continue
        before, reached = reached, np.zeros_like(reached)
        for tap in window:
            if tap <= horizon:
                reached[tap:] |= before[: horizon + 1 - tap]
    return reached


def _over_taps(join: np.ufunc, values: np.ndarray, step: int, taps: int) -> np.ndarray:
    """`join` over values[n], values[n - step], ..., so many taps; twice as many in each round."""
    joined, width = values.copy(), 1
    while width < taps and step * width < len(values):
        more = min(width, taps - width)
        joined[step * more :] = join(joined[step * more :], joined[: -step * more])
        width += more
    return joined
