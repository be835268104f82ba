"""What export/raw.py does with numbers, in torch's operations: a part of the ONNX graphs.

Which tensors raw inputs are, `Inputs.raw` says (export/described.py).

Legend: B batch, T steps, C channels, K channels that are whole numbers, I inputs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drnn_bench.export.described import Inputs
from drnn_bench.kernels import over_steps
from drnn_bench.models.inputs import Net

MISSING = torch.iinfo(torch.int64).min


class Entering(nn.Module):
    """`entering(raw)` gives what the net takes, `entering(raw, before)` of a stream's step too.

    repeats: whether a missing value repeats the last one of its channel. A stream then carries the
             last scaled values [B, C], zeros at first.
    """

    def __init__(self, inputs: Inputs, net: Net):
        super().__init__()
        self.inputs = inputs
        self.one_hot = inputs.symbols and not getattr(net, "takes_symbols", False)
        self.repeats = inputs.scaling is not None and inputs.scaling.missing == "ffill"
        if inputs.scaling is None:
            return
        self.mean: Tensor
        self.deviation: Tensor
        order = np.argsort([c for _, channels in inputs.raw.values() for c in channels]).tolist()
        self.order = None if order == sorted(order) else order
        self.register_buffer("mean", torch.from_numpy(inputs.scaling.mean), persistent=False)
        deviation = torch.from_numpy(inputs.scaling.deviation)
        self.register_buffer("deviation", deviation, persistent=False)

    def example(self, batch: int, steps: int) -> tuple[Tensor, ...]:
        """Raw inputs to trace it with."""
        types = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}
        return tuple(
            torch.zeros((batch, steps, *((len(channels),) if channels else ())), dtype=types[dtype])
            for dtype, channels in self.inputs.raw.values()
        )

    def forward(
        self, raw: tuple[Tensor, ...], before_BC: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """What the net takes, and the last scaled values where they are carried."""
        if self.inputs.symbols:
            (x,) = raw
            return (F.one_hot(x, self.inputs.size).float() if self.one_hot else x), None
        if self.inputs.scaling is None:
            x_BTI = raw[0] * self.inputs.scale
            return x_BTI / self.inputs.divided_by if self.inputs.divided_by != 1 else x_BTI, None
        x_BTC = ((self._together(raw) - self.mean) / self.deviation).float()
        if self.inputs.scaling.missing == "refuse":
            return x_BTC, None
        missing_BTC, last_BC = x_BTC.isnan(), None
        if not self.repeats:
            x_BTC = torch.where(missing_BTC, 0.0, x_BTC)
        elif before_BC is None:
            x_BTC = _repeated(x_BTC)
        else:
            last_BC = torch.where(missing_BTC[:, 0], before_BC, x_BTC[:, 0])
            x_BTC = last_BC.unsqueeze(1)
        if self.inputs.scaling.masked:
            masks_BTK = missing_BTC[..., list(self.inputs.scaling.masked)].float()
            x_BTC = torch.cat([x_BTC, masks_BTK], 2)
        return x_BTC, last_BC

    def _together(self, raw: tuple[Tensor, ...]) -> Tensor:
        """All channels in their order as float64, whole numbers less their offsets."""
        parts = dict(zip(self.inputs.raw, raw, strict=True))
        if "whole" in parts:
            offset = torch.tensor([offset for offset in self.inputs.offset if offset])
            whole = parts["whole"]
            shifted = (whole - offset).double()
            parts["whole"] = torch.where(whole == MISSING, torch.nan, shifted)
        x_BTC = torch.cat([*parts.values()], 2) if len(parts) > 1 else next(iter(parts.values()))
        return x_BTC if self.order is None else x_BTC[..., self.order]


def _repeated(x_BTC: Tensor) -> Tensor:
    """What is missing repeats what is before it, and is zero where nothing is."""

    def step(last_BC: Tensor, x_BC: Tensor) -> tuple[Tensor, Tensor]:
        last_BC = torch.where(x_BC.isnan(), last_BC, x_BC)
        return last_BC, last_BC.clone()

    first_BC = x_BTC.new_zeros(x_BTC.shape[0], x_BTC.shape[2])
    _, filled_TBC = over_steps(step, first_BC, x_BTC.transpose(0, 1))
    return filled_TBC.transpose(0, 1)
