"""Real targets: what metrics and losses they take, how they are shifted and scaled, and how they
are told.

Nets are trained on (target - mean) / standard deviation of the training targets, each of the D by
its own; scores are in the targets' own unit.

Legend: D targets of a sequence or of a step, M scored places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import some
from drnn_bench.formats.reading import Sequences

LOSSES = {"mse": "mse", "rmse": "mse", "r2": "mse", "mae": "mae"}  # metric -> loss
BESIDE = ("rmse", "mae")  # metrics that are shown beside
FINEST = 1_000  # float32 must tell apart so many values within a standard deviation


@dataclass(frozen=True)
class TargetScaling:
    """Of each of the D targets what is known from the training split."""

    names: tuple[str, ...]
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What a user of a trained net must know, as JSON values."""
        return {
            "targets": list(self.names),
            "target_offset": list(self.offset),
            "target_scale": list(self.scale),
        }

    def in_words(self, often: str) -> str:
        """`often` is empty, or says that every step has them."""
        ranges = [
            f"{name} from {low:g} to {high:g}"
            for name, low, high in zip(self.names, self.low, self.high, strict=True)
        ]
        count = f"{len(self.names)} target{'s' * (len(self.names) > 1)}"
        return f"{count}{often} (in training {some(ranges)})"


def places_of(sequences: Sequences) -> list[np.ndarray]:
    """Of each sequence its targets: [1, D], or [T, D], NaN where a step has none. Raises UserError
    where no step of a sequence has one."""
    y = [one if sequences.per_step else one[None] for one in sequences.y]
    for where, one in zip(sequences.where, y, strict=True):
        if np.isnan(one).all():
            raise UserError(f"{where}: no step has a target; leave the sequence out")
    return y


def target_names(sequences: Sequences, count: int) -> tuple[str, ...]:
    """As the file has them, else counted from 1."""
    return sequences.form.target_names or (
        ("target",) if count == 1 else tuple(f"target {d}" for d in range(1, count + 1))
    )


def target_scaling(
    path: Path, names: Sequence[str], parts: Mapping[str, Sequence[np.ndarray]]
) -> TargetScaling:
    """From the targets [M, D] of each sequence, split by split. Raises UserError where a target is
    the same in all of training, or where float32, which holds targets, would blur it."""
    train_MD = np.concatenate(parts["train"])
    known = []
    for name, column_M in zip(names, train_MD.T, strict=True):
        y_M = column_M[~np.isnan(column_M)]
        if not len(y_M) or y_M.min() == y_M.max():
            what = f"has one value ({y_M[0]:g}) in" if len(y_M) else "is missing in"
            raise UserError(f"{path}: target {name} {what} all of training; nothing can be learned")
        scale = float(y_M.std())
        if FINEST * np.abs(y_M - y_M.astype(np.float32)).max() > scale:
            raise UserError(
                f"{path}: target {name} differs by {scale:.2g} around {y_M.mean():.7g}, too little "
                f"for float32; subtract {y_M.mean():.0f} from it first"
            )
        known.append((name, float(y_M.mean()), scale, float(y_M.min()), float(y_M.max())))
    for split, ys in parts.items():
        if np.isnan(np.concatenate(ys)).all():
            raise UserError(f"{path}: the {split} split has no target")
    return TargetScaling(*zip(*known, strict=True))
