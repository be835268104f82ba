"""A kernel in single precision against its equation in double precision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def assert_the_same(
    found: Sequence[Tensor],
    narrow: Sequence[Tensor],
    wanted: Sequence[Tensor],
    wide: Sequence[Tensor],
) -> None:
    """The answers `found` of `narrow` and `wanted` of `wide`, and the gradients of all that was
    given."""
    weights = [torch.randn_like(t) for t in found]
    totals = [
        sum((w * t).sum() for w, t in zip(weights, of, strict=True)) for of in (found, wanted)
    ]
    pairs = [torch.autograd.grad(t, g) for t, g in zip(totals, (narrow, wide), strict=True)]
    for one, other in zip((*found, *pairs[0]), (*wanted, *pairs[1]), strict=True):
        # Of a sum whose terms cancel, what is left is as exact as the terms are.
        assert (one - other).abs().max() <= 1e-5 * (1 + other.abs().max())
