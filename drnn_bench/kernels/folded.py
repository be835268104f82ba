"""Dilated layers over a batch that does not fill the fused kernel's blocks.

The kernel takes as long for 16 sequences as for the 64 of a block. Where the dilations of a layer
and of all above it are multiples of n, steps t and t + 1 .. t + n - 1 never meet again: [T, B, H]
is as well [T/n, n*B, H] with dilations n times smaller, in the same memory (the reshaping of Chang
et al. 2017). With 16 sequences, a stack of dilations 1, 2, 4, 8, ... runs its first layer as it is,
the second with 2 chains of a sequence side by side, all others with 4.

Legend: T steps, B batch, I inputs, H units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import groupby

import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, Weights
from drnn_bench.kernels import fused
from drnn_bench.kernels.registers import COLUMNS

LEAST = 16  # steps that a chain must have
CHANGE = 0.3  # what another layout costs, of the work of a layer over a full block


def folds(dilations: Sequence[int], steps: int, batch: int) -> tuple[int, ...]:
    """For each layer, how many chains of a sequence lie side by side: those that fill blocks best,
    where that saves more than the change of layout costs."""
    return _folds(tuple(dilations), steps, batch)


@lru_cache(maxsize=1024)
def _folds(dilations: tuple[int, ...], steps: int, batch: int) -> tuple[int, ...]:
    most, found, n = max(1, min(COLUMNS, steps // LEAST)), [], 1
    for i in range(len(dilations)):
        together = math.gcd(*dilations[i:])
        best = min((m for m in range(1, most + 1) if together % m == 0), key=partial(work, batch))
        saved = (work(batch, n) - work(batch, best)) * (len(dilations) - i)
        if saved > CHANGE * batch / COLUMNS:
            n = best
        found.append(n)
    return tuple(found)


def work(batch: int, n: int) -> float:
    """Of a layer with n chains side by side, in blocks for each step."""
    return -(-n * batch // COLUMNS) / n


def stack(
    cell: Cell, x_TBI: Tensor, weights: Sequence[Weights], dilations: Sequence[int], last: int
) -> Tensor:
    """The last outputs [last, B, H] of the top layer, from states of zeros. The weights are as the
    fused kernel takes them."""
    steps, batch = x_TBI.shape[:2]
    of_layers = folds(dilations, steps, batch)
    h_TBH = x_TBI
    for n, group in groupby(range(len(weights)), of_layers.__getitem__):
        layers = list(group)
        below = [dilations[i] // n for i in layers]
        chains = _side_by_side(h_TBH, n)
        unread = (steps - last) // n if layers[-1] == len(weights) - 1 else 0
        rows, count = [None] * len(layers), len(chains) - unread
        y, _ = fused.stack(
            cell, chains, [weights[i] for i in layers], below, rows, count, None, False
        )
        h_TBH = y.reshape(count * n, batch, -1)[: steps - unread * n]
    return h_TBH[-last:]


def _side_by_side(x: Tensor, n: int) -> Tensor:
    """[T, B, ...] as [ceil(T/n), n*B, ...]; steps that are added at the end are zeros."""
    steps, batch, *rest = x.shape
    added = -steps % n
    if added:
        x = torch.cat([x, x.new_zeros(added, batch, *rest)])
    return x.reshape((steps + added) // n, n * batch, *rest)
