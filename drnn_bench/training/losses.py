"""The losses that nets are trained on: each a mean over the scored targets of a batch.

cross_entropy  -log probability of the right class, nats
bce            the same of each yes or no, from its logit
mse            squared error, of scaled targets
mae            absolute error, of scaled targets
quantile       pinball loss (Koenker and Bassett 1978), mean over the levels, of scaled targets

Legend: B batch, S scored steps, O outputs, D targets a step, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.metrics.forms import TargetForm

# outputs [B, S, O], targets [B, S, D] without NaN -> costs [B, S, D]
Costs = Callable[[Tensor, Tensor, TargetForm], Tensor]


def cross_entropy(logits_BSO: Tensor, y_BS: Tensor, **options: Any) -> Tensor:
    """The mean over the scored steps, in nats; torch leaves out targets of UNSCORED."""
    return F.cross_entropy(logits_BSO.flatten(0, 1), y_BS.flatten(), **options)


def _binary(logits_BSD: Tensor, y_BSD: Tensor, form: TargetForm) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits_BSD, y_BSD, reduction="none")


def _squared(outputs_BSD: Tensor, y_BSD: Tensor, form: TargetForm) -> Tensor:
    return (outputs_BSD - y_BSD).square()


def _absolute(outputs_BSD: Tensor, y_BSD: Tensor, form: TargetForm) -> Tensor:
    return (outputs_BSD - y_BSD).abs()


def _pinball(outputs_BSO: Tensor, y_BSD: Tensor, form: TargetForm) -> Tensor:
    levels_Q = torch.tensor(form.quantiles, dtype=y_BSD.dtype, device=y_BSD.device)
    short_BSDQ = y_BSD.unsqueeze(3) - outputs_BSO.unflatten(2, (form.targets, len(levels_Q)))
    return torch.maximum(levels_Q * short_BSDQ, (levels_Q - 1) * short_BSDQ).mean(3)


COSTS: dict[str, Costs] = {
    "bce": _binary,
    "mse": _squared,
    "mae": _absolute,
    "quantile": _pinball,
}


def mean_loss(loss: str, form: TargetForm, outputs_BSO: Tensor, y: Tensor) -> Tensor:
    """What a batch is trained on. `y`: classes [B, S], else [B, S, D] with NaN where unscored."""
    if loss == "cross_entropy":
        return cross_entropy(outputs_BSO, y)
    costs_BSD, scored_BSD = _costs(loss, form, outputs_BSO, y)
    return costs_BSD.sum() / scored_BSD.sum()


def example_losses(loss: str, form: TargetForm, outputs_BSO: Tensor, y: Tensor) -> Tensor:
    """The sum over each example's scored targets, [B]."""
    if loss == "cross_entropy":
        return cross_entropy(outputs_BSO, y, reduction="none").view_as(y).sum(1)
    return _costs(loss, form, outputs_BSO, y)[0].sum((1, 2))


def _costs(
    loss: str, form: TargetForm, outputs_BSO: Tensor, y_BSD: Tensor
) -> tuple[Tensor, Tensor]:
    """The cost of each target, 0 where it is unscored, and which are scored. An unscored target
    becomes 0 first: NaN times 0 would be NaN in the gradient."""
    scored_BSD = ~y_BSD.isnan()
    costs_BSD = COSTS[loss](outputs_BSO, y_BSD.nan_to_num(), form)
    return costs_BSD * scored_BSD, scored_BSD
