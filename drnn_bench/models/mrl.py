"""Mean recurrent length (Chang et al. 2017, section 3), exact, from an architecture's edges.

d_i(n) is the length of the shortest path from the input at step i to the output at step i+n. Every
edge costs 1. All paths have the same number L of feed-forward edges (input -> layer 1 -> ... ->
layer L, whose hidden node is the output node). Then

    MRL = (1/m) * sum over n = 1..m of max over i of d_i(n)

with m the period of the net's cyclic graph, which is its largest dilation. A plain stack has period
1, so this definition gives it L + 1, a number that cannot be compared with a dilated net's. To
compare families, use one horizon N for all: the spans 1..N in place of 1..m.

MRL counts edges. It does not measure how a gradient decays along an edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Architecture, Paths, at_least


def mean_recurrent_length(architecture: Architecture, horizon: int | None = None) -> float:
    """MRL over the spans 1..horizon, in edges; by default over one period m, as the paper has it
    (Chang et al. 2017, section 3).

        >>> net = drnn_bench.configure("dilated_rnn", input_size=1, output_size=10, width=20)
        >>> round(drnn_bench.mean_recurrent_length(net), 4)
        13.0039

    Infinite where some span cannot be crossed. Raises UserError for a horizon below 1, or where no
    horizon is given for a convolution, which has no period.
    """
    if horizon is None:
        if architecture.period is None:
            raise UserError(f"{architecture.family} has no recurrent period: give a horizon")
        horizon = architecture.period
    at_least("horizon", horizon, 1)
    return float(path_lengths(architecture.paths, horizon)[1:].mean())


def path_lengths(paths: Paths, horizon: int) -> np.ndarray:
    """max_i d_i(n) for n = 0..horizon, [horizon + 1] floats; infinity where the span cannot be
    crossed."""
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


def path_length(architecture: Architecture, span: int) -> float:
    """Edges of the shortest path from an input to the output `span` steps later; infinite where
    there is none."""
    at_least("span", span, 0)
    return float(path_lengths(architecture.paths, span)[span])


def reach(architecture: Architecture) -> int | None:
    """The largest span in steps that a net can cross (receptive field - 1); None: no bound."""
    windows = architecture.paths.windows
    if architecture.paths.spans or None in windows:
        return None
    return sum(max(window) for window in windows if window is not None)


def fewest_edges(spans: tuple[int, ...], horizon: int) -> np.ndarray:
    """The fewest recurrent edges that cross exactly n steps, n = 0..horizon: [horizon + 1] floats.

    This is the change-making problem with the spans as coins. Where each span divides the next, as
    in every dilated net of the paper, taking the largest first is optimal: for spans M^0..M^(L-1)
    and n < M^L, it gives the digit sum of n in base M.
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


def _offsets(windows: tuple[Sequence[int] | None, ...], horizon: int) -> np.ndarray:
    """Which spans 0..horizon the convolutions together can cross, with one tap each."""
    reached = np.zeros(horizon + 1, dtype=bool)
    reached[0] = True
    for window in windows:
        if window is None:
            reached = np.logical_or.accumulate(reached)
            continue
        step = window[1] - window[0] if len(window) > 1 else 1
        if list(window) == list(range(0, step * len(window), step)):
            reached = _over_taps(np.logical_or, reached, step, len(window))
            continue
        before, reached = reached, np.zeros_like(reached)
        for tap in window:
            if tap <= horizon:
                reached[tap:] |= before[: horizon + 1 - tap]
    return reached


def _over_taps(join: np.ufunc, values: np.ndarray, step: int, taps: int) -> np.ndarray:
    """For every n, `join` of values[n], values[n - step], ..., so many taps. Each round doubles the
    number of taps."""
    joined, width = values.copy(), 1
    while width < taps and step * width < len(values):
        more = min(width, taps - width)
        joined[step * more :] = join(joined[step * more :], joined[: -step * more])
        width += more
    return joined
