"""Which steps of each layer can reach the outputs that are read.

A classifier reads its last step only. With dilations that divide one another, a layer of
dilation s then needs one of its s chains, not all of them: a stack of L layers costs about 2*T
cell updates in place of L*T, with the same outputs and the same gradients. The other chains
end in no output at all.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=4096)
def needed_steps(dilations: tuple[int, ...], length: int, last: int) -> list[np.ndarray]:
    """Per layer, the steps to compute (ascending) so that the last `last` outputs come out.

    Layer by layer from the top: a chain that is needed at one step is needed at all its steps,
    and every step of a layer needs the same step of the layer below.
    """
    steps = np.arange(length)
    wanted = steps[-last:]
    kept: list[np.ndarray] = []
    for dilation in reversed(dilations):
        wanted = steps[np.isin(steps % dilation, np.unique(wanted % dilation))]
        kept.append(wanted)
    return kept[::-1]


def chains(steps: np.ndarray, dilation: int) -> int:
    """How many chains of a layer the kept steps hold: the dilation to scan them with."""
    return max(1, int(np.count_nonzero(steps < dilation)))


def taken(present: np.ndarray | None, wanted: np.ndarray, length: int) -> np.ndarray | None:
    """Which rows of the `present` steps (None: all of the length) are the `wanted` ones; None:
    all of them."""
    if len(wanted) == (length if present is None else len(present)):
        return None
    return wanted if present is None else np.searchsorted(present, wanted)


def keep(x_TBI: Tensor, present: np.ndarray | None, wanted: np.ndarray) -> Tensor:
    """The rows of x for the `wanted` steps, where its rows are the `present` ones (None: all)."""
    rows = taken(present, wanted, len(x_TBI))
    return x_TBI if rows is None else x_TBI.index_select(0, torch.from_numpy(rows).to(x_TBI.device))


@lru_cache(maxsize=4096)
def thinned(
    dilations: tuple[int, ...], length: int, last: int
) -> tuple[list[np.ndarray | None], list[int]]:
    """Per layer of a stack, the rows that it takes of the one below, and its chains among them."""
    kept = needed_steps(dilations, length, last)
    rows = [taken(a, b, length) for a, b in zip([None, *kept], kept, strict=False)]
    return rows, [chains(steps, s) for steps, s in zip(kept, dilations, strict=True)]
