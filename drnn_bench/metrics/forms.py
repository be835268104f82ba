"""What a net's outputs and a task's targets are, by the loss that the net is trained on.

classes    outputs are logits of O classes; a target is a class, UNSCORED where it does not count
binary     outputs are logits of D questions; a target is 0 or 1 for each, UNSCORED or NaN where
           it does not count
real       outputs are D real numbers; a target is as many, NaN where it does not count
quantiles  outputs are the Q quantiles of each of D real numbers, target by target

Legend: N examples (sequences, or steps of a stream), S scored steps, O outputs, D targets a step,
Q quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

UNSCORED = -100  # as a target: this step is not scored (torch's own number for it)

Form = Literal["classes", "binary", "real", "quantiles"]
FORM_OF_LOSS: dict[str, Form] = {
    "cross_entropy": "classes",
    "bce": "binary",
    "mse": "real",
    "mae": "real",
    "quantile": "quantiles",
}


@dataclass(frozen=True)
class TargetForm:
    """The form of a task's outputs and targets.

    outputs      of the net
    quantiles    the levels Q, ascending, where the form is `quantiles`
    naive_error  mean absolute error of the naive forecast on training; MASE divides by it
    """

    kind: Form
    outputs: int
    quantiles: tuple[float, ...] = ()
    naive_error: float | None = None

    @property
    def targets(self) -> int:
        """D: how many targets a scored step has."""
        if self.kind == "classes":
            return 1
        return self.outputs // len(self.quantiles) if self.kind == "quantiles" else self.outputs


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a net made of N examples.

    outputs_NSO  logits; real numbers and quantiles in the targets' own unit
    targets      classes [N, S], else [N, S, D]
    losses_N     the training loss in nats, summed over an example's scored targets (classes and
                 binary; likelihoods are read from it, to the last bit of what training computes)
    """

    form: TargetForm
    outputs_NSO: np.ndarray
    targets: np.ndarray
    losses_N: np.ndarray

    @cached_property
    def scored(self) -> np.ndarray:
        """Which targets count, of their shape."""
        if self.form.kind == "classes":
            return self.targets != UNSCORED
        return ~np.isnan(self.targets)

    @cached_property
    def counts_N(self) -> np.ndarray:
        """How many targets of each example count."""
        return self.scored.reshape(len(self.targets), -1).sum(1).astype(np.float64)

    @cached_property
    def points_NSD(self) -> np.ndarray:
        """The one answer a target: of quantiles, the middle one."""
        if self.form.kind != "quantiles":
            return self.outputs_NSO
        return self.quantiles_NSDQ[..., len(self.form.quantiles) // 2]

    @property
    def quantiles_NSDQ(self) -> np.ndarray:
        n, s, _ = self.outputs_NSO.shape
        return self.outputs_NSO.reshape(n, s, self.form.targets, len(self.form.quantiles))

    @cached_property
    def errors_NSD(self) -> np.ndarray:
        """Answer - target, 0 where unscored."""
        return np.where(self.scored, self.points_NSD - self.targets, 0.0)


def steps_of(targets: np.ndarray, form: TargetForm, stream: bool = False) -> np.ndarray:
    """A split's targets as `Predictions` has them: [N, S] of classes, else float64 [N, S, D]. Each
    step of a stream is an example."""
    y = np.asarray(targets)
    if form.kind == "classes":
        return y.reshape(len(y), -1)
    steps = 1 if stream or y.ndim == 1 else y.shape[1]
    y_NSD = y.reshape(len(y), steps, form.targets).astype(np.float64)
    if form.kind == "binary" and y.dtype.kind in "iu":
        y_NSD[y_NSD == UNSCORED] = np.nan
    return y_NSD
