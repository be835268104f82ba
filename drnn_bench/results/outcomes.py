"""What a net did on each test example, packed small enough to stand in a row.

A board compares two nets on the same examples, so it needs their outcomes example by example. An
accuracy's outcomes are bits, one an example. Those of any other metric, and of more examples than
BITS, are means over at most BLOCKS blocks of neighbouring examples, in 16 bits each.

Legend: N examples, K blocks.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

BITS = 16_000  # examples whose bits still fit: 2,000 bytes, 2,668 characters
BLOCKS = 1_000
LEVELS = 2**16 - 1

Packed = dict[str, Any]


def pack(outcomes_N: Sequence[float] | np.ndarray) -> Packed:
    """Outcomes as JSON values of less than 3 kB. `unpack` gives them back: exactly where they are
    all 0 or 1 and at most BITS, else as block means, each within 1/131,000 of their range."""
    values_N = np.asarray(outcomes_N, dtype=np.float64)
    if values_N.ndim != 1 or not len(values_N) or not np.isfinite(values_N).all():
        raise ValueError("outcomes are a row of finite numbers, at least one")
    if len(values_N) <= BITS and np.isin(values_N, (0.0, 1.0)).all():
        packed = np.packbits(values_N.astype(bool)).tobytes()
        return {"bits": base64.b64encode(packed).decode(), "n": len(values_N)}
    means_K = block_means(values_N)
    low, high = float(means_K.min()), float(means_K.max())
    scale = (high - low) / LEVELS or 1.0
    levels_K = np.round((means_K - low) / scale).astype("<u2")
    text = base64.b64encode(levels_K.tobytes()).decode()
    return {"means": text, "low": low, "high": high, "n": len(values_N)}


def unpack(packed: Packed) -> np.ndarray:
    """The outcomes [N], or their block means [K]. Raises ValueError where they are damaged."""
    count = packed["n"]
    if "bits" in packed:
        data = np.frombuffer(base64.b64decode(packed["bits"], validate=True), np.uint8)
        if not 1 <= count <= BITS or len(data) != -(-count // 8):
            raise ValueError(f"outcomes: {len(data)} bytes are not the bits of {count} examples")
        return np.unpackbits(data, count=count).astype(np.float64)
    data = base64.b64decode(packed["means"], validate=True)
    if len(data) != 2 * min(count, BLOCKS):
        raise ValueError(f"outcomes: {len(data)} bytes are not the block means of {count} examples")
    low, high = packed["low"], packed["high"]
    return low + np.frombuffer(data, "<u2") * ((high - low) / LEVELS)


def block_means(values_N: np.ndarray) -> np.ndarray:
    """Means [K] over blocks of neighbours, whose sizes differ by one at most."""
    count = min(len(values_N), BLOCKS)
    edges = np.arange(count + 1) * len(values_N) // count
    return np.add.reduceat(values_N, edges[:-1]) / np.diff(edges)


def mean_outcomes(nets: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over nets of what happened on each example [N], or in each block [K] where a net's
    are block means; empty [0] without nets, or where these did not read the same examples."""
    alike = in_one_form(nets)
    if len({len(outcomes) for outcomes in alike}) != 1:
        return np.empty(0)
    return np.mean(alike, axis=0)


def in_one_form(nets: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outcomes of the same examples, all as block means where some are.

    A metric that is no accuracy may be 0 or 1 on every example, as where a net copies without any
    error. Its outcomes are bits then, and those of the next net are block means.
    """
    if len({len(outcomes) for outcomes in nets}) > 1:
        return [block_means(outcomes) if len(outcomes) else outcomes for outcomes in nets]
    return list(nets)
