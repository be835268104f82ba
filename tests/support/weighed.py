"""Outputs and gradients of a kernel beside those of its equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Run = Callable[..., Tensor]


def gradients(
    run: Run, tensors: Sequence[Tensor], absolute: bool = False
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs of `run`, and the gradients of the tensors by weights that differ everywhere, or
    with `absolute` by their sizes."""
    tensors = [t.detach().requires_grad_() for t in tensors]
    y = run(*tensors)
    factors = torch.arange(y.numel(), dtype=y.dtype).view(y.shape).sin()
    return y, torch.autograd.grad((y * (factors.abs() if absolute else factors)).sum(), tensors)


def near(got: Tensor, wanted: Tensor, of_sizes: Tensor, tolerance: float) -> bool:
    """Whether the largest error is within `tolerance` of the largest number that there would be if
    no two terms of a sum had different signs: where they cancel, little is left but rounding."""
    error = (got.double() - wanted).abs().max()
    return bool(error <= tolerance * of_sizes.abs().max().clamp(min=1e-12))
