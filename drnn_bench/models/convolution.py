"""What the CNN families share: their config, and a causal dilated convolution over time.

Legend: T steps, B batch, I inputs, C channels, k kernel size, d dilation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.models.architecture import Architecture, Paths, at_least, max_levels
from drnn_bench.models.streaming import Ring, single_step


@dataclass(frozen=True, kw_only=True)
class Convolutional(Architecture):
    """Layers (or blocks) of causal convolutions; layer l has dilation base^(l-1)."""

    base: int = 2
    depth: int = 10
    kernel: int = 2

    convolutions: ClassVar[int] = 1  # in a layer, all of its dilation

    def __post_init__(self) -> None:
        at_least("base", self.base, 1)
        at_least("depth", self.depth, 1)
        at_least("kernel", self.kernel, 2)
        super().__post_init__()

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        return tuple(self.base**level for level in range(self.depth))

    @property
    def period(self) -> None:
        return None

    @property
    def paths(self) -> Paths:
        """A layer counts as one edge, however many convolutions it has."""
        taps = range(self.convolutions * (self.kernel - 1) + 1)
        windows = tuple(tuple(j * d for j in taps) for d in self.layer_dilations)
        return Paths(self.depth, windows=windows)

    @property
    def recurrent_edges_per_node(self) -> float:
        return 0.0

    def sequential_steps(self, length: int) -> int:
        return self.depth

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The largest dilation stays below the sequence length."""
        levels = max_levels(options.get("base", cls.base), length)
        return {} if levels is None else {"depth": levels}


def causal_conv(
    x_TBI: Tensor, weight_CIk: Tensor, dilation: int, bias: Tensor | None = None
) -> Tensor:
    """y_t = b + sum_j W[:, :, k-1-j] x_{t-j*d}: the taps' order is nn.Conv1d's, oldest first.

    One product over all taps, on the steps each tap reads; zeros stand before the sequence.
    """
    kernel = weight_CIk.shape[2]
    return _taps(F.pad(x_TBI, (0, 0, 0, 0, (kernel - 1) * dilation, 0)), weight_CIk, dilation, bias)


def stream_conv(
    x_TBI: Tensor,
    weight_CIk: Tensor,
    dilation: int,
    ring: Ring | None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Ring]:
    """The same for the next steps of a sequence; the ring holds the (k-1)*d inputs before them."""
    kernel = weight_CIk.shape[2]
    size = (kernel - 1) * dilation
    if ring is None:
        ring = Ring((x_TBI.new_zeros(size, *x_TBI.shape[1:]),))
    if single_step(x_TBI):
        taps = [ring.back(j * dilation)[0] for j in range(kernel - 1, 0, -1)]
        y = _product(torch.cat([*taps, x_TBI], 2), weight_CIk, bias)
        ring.push((x_TBI,))
        return y, ring
    seen = torch.cat([ring.ordered()[0], x_TBI])
    return _taps(seen, weight_CIk, dilation, bias), Ring((seen[-size:],))


def _taps(seen_TBI: Tensor, weight_CIk: Tensor, dilation: int, bias: Tensor | None) -> Tensor:
    kernel = weight_CIk.shape[2]
    steps = len(seen_TBI) - (kernel - 1) * dilation
    taps = [seen_TBI[j * dilation : j * dilation + steps] for j in range(kernel)]
    return _product(torch.cat(taps, 2), weight_CIk, bias)


def _product(taps: Tensor, weight_CIk: Tensor, bias: Tensor | None) -> Tensor:
    return F.linear(taps, weight_CIk.transpose(1, 2).flatten(1), bias)
