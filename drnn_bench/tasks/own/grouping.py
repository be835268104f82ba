"""Splits in which the sequences of one group (a subject, a day, a machine) stay together.

Legend: N sequences, G groups, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drnn_bench.formats.files import some


def held_out(
    groups: Sequence[str], kinds: np.ndarray, share: float, rng: np.random.RandomState
) -> np.ndarray:
    """Which sequences [N] to hold out: whole groups, together about `share` of each class.

    Groups come in an order drawn by `rng`; one is taken where that brings the classes nearer to
    their share, and never where a class would have nothing left. Where none is nearer, the nearest
    is taken. All False where no group can be spared.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    _, kind = np.unique(kinds, return_inverse=True)
    counts_GK = np.zeros((len(names), kind.max() + 1))
    np.add.at(counts_GK, (group, kind), 1)
    total_K = counts_GK.sum(0)
    held_K, taken = np.zeros_like(total_K), np.zeros(len(names), bool)

    def distance(held_K: np.ndarray) -> float:
        return float(np.square(held_K - share * total_K).sum())

    def leaves_all(held_K: np.ndarray) -> bool:
        return bool((held_K < total_K).all())

    order = [g for g in rng.permutation(len(names)) if leaves_all(counts_GK[g])]
    for g in order:
        more_K = held_K + counts_GK[g]
        if distance(more_K) < distance(held_K) and leaves_all(more_K):
            held_K, taken[g] = more_K, True
    if not taken.any() and order:
        taken[min(order, key=lambda g: distance(counts_GK[g]))] = True
    return taken[group]


def broken(groups: Sequence[str], splits: np.ndarray) -> str | None:
    """A note where the files' own splits divide groups; None where they divide none."""
    inside: dict[str, set[str]] = {}
    for group, split in zip(groups, splits, strict=True):
        inside.setdefault(group, set()).add(split)
    divided = [group for group, own in inside.items() if len(own) > 1]
    if not divided:
        return None
    return f"{len(divided)} of {len(inside)} groups are in several splits: {some(divided)}"
