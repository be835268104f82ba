"""Which steps of each layer the outputs that are read depend on.

A classifier's last output only is read. Where the dilations divide one another, that output depends
on one of the s chains of a layer of dilation s. Computing only such chains, a stack of L layers
costs about 2*T cell updates instead of L*T, with the same outputs and the same gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels import Taps, at_steps, steps_read, symbolic


@lru_cache(maxsize=4096)
def needed_steps(dilations: tuple[int, ...], length: int, last: int) -> list[np.ndarray]:
    """Per layer, the steps (ascending) that the last `last` outputs depend on.

    From the top layer down: where one step of a chain is needed, all its steps are, and every step
    of a layer needs the same step of the layer below.
    """
    steps = np.arange(length)
    needed = steps[-last:]
    from_top: list[np.ndarray] = []
    for dilation in reversed(dilations):
        needed = steps[np.isin(steps % dilation, np.unique(needed % dilation))]
        from_top.append(needed)
    return from_top[::-1]


def chains(steps: np.ndarray, dilation: int) -> int:
    """How many chains of a layer these steps belong to: the dilation to scan them with."""
    return max(1, int(np.count_nonzero(steps < dilation)))


def taken(present: np.ndarray | None, needed: np.ndarray, length: int) -> np.ndarray | None:
    """The places of the needed steps among the present ones (None: all `length` steps). Returns
    None where all are needed."""
    if len(needed) == (length if present is None else len(present)):
        return None
    return needed if present is None else np.searchsorted(present, needed)


def keep(x: Tensor, rows: np.ndarray | None, dim: int = 0) -> Tensor:
    """These rows of x along an axis; None: all."""
    if rows is None:
        return x
    return x.index_select(dim, torch.from_numpy(rows).to(x.device))


def thinned(
    dilations: tuple[int, ...], length: int, last: int
) -> tuple[list[np.ndarray | None], list[int]]:
    """Per layer of a stack, the rows of the layer below that it takes (None: all), and how many
    chains they hold. Of a length that is a symbol all are taken."""
    if symbolic(length):
        return [None] * len(dilations), list(dilations)
    return _thinned(dilations, length, last)


@lru_cache(maxsize=4096)
def _thinned(
    dilations: tuple[int, ...], length: int, last: int
) -> tuple[list[np.ndarray | None], list[int]]:
    needed = needed_steps(dilations, length, last)
    rows = [
        taken(below, steps, length) for below, steps in zip([None, *needed], needed, strict=False)
    ]
    return rows, [chains(steps, s) for steps, s in zip(needed, dilations, strict=True)]


@dataclass(frozen=True, eq=False)
class Reads:
    """What a layer of convolutions over blocks reads, where it computes only the steps that are
    needed.

    taps  of its convolutions, from the inputs on
    same  the rows of its inputs at the steps of its outputs; None: all
    """

    taps: tuple[Taps, ...]
    same: np.ndarray | None


@lru_cache(maxsize=16)
def reads(
    dilations: tuple[int, ...], taps: int, convolutions: int, length: int, last: int
) -> list[Reads]:
    """Of each layer of `convolutions` convolutions with as many taps. A convolution reads a few
    steps, not whole chains: with two taps half of what `needed_steps` has."""
    steps = np.arange(length)
    wanted = steps[-last:]
    from_top = []
    for layer, dilation in reversed(list(enumerate(dilations))):
        outputs, convs = wanted, []
        for conv in reversed(range(convolutions)):
            bottom = layer == conv == 0  # it has the whole sequence
            present = steps if bottom else steps_read(wanted, taps, dilation)
            convs.append(at_steps(present, wanted, taps, dilation))
            wanted = present
        same = None if len(outputs) == len(wanted) else np.searchsorted(wanted, outputs)
        from_top.append(Reads(tuple(convs[::-1]), same))
    return from_top[::-1]
