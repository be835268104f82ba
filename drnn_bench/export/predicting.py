"""Answers of an exported net to raw inputs: `load(folder).predict(x)`.

Legend: B batch, T steps, S answered steps, O outputs, D targets, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drnn_bench.errors import UserError
from drnn_bench.export.described import Answers, Described, described
from drnn_bench.export.raw import entering, last_values, to_net
from drnn_bench.models.inputs import Net
from drnn_bench.models.streaming import State


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a net answers. The axis S of steps is absent where only the last step has an answer.

    values         of classes their names, [B, S]
                   of yes or no True where yes is the more probable, [B, S, D]
                   of real targets float64 in their own unit, [B, S, D]
                   of quantiles the same, [B, S, D, Q], in ascending order of `levels`
    probabilities  of classes [B, S, O], in the order of `names`; of yes [B, S, D]; else None
    names          of the classes, else empty
    levels         of the quantiles, else empty
    """

    values: np.ndarray
    probabilities: np.ndarray | None
    names: tuple[Any, ...] = ()
    levels: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class StreamState:
    """What `stream_predict` carries from call to call: the net's state, and the last raw value of
    each channel where missing values repeat."""

    net: State
    last_BC: np.ndarray | None


class LoadedNet(Net):
    """A net as `drnn_bench.load` gives it: a torch.nn.Module that also answers raw inputs."""

    config_: dict[str, Any]  # the whole config.json
    where_: str  # its path, for messages

    def predict(self, x: Any) -> Prediction:
        """The answers to sequences as the task's user has them.

            >>> answers = drnn_bench.load("net").predict(x)
            >>> answers.values, answers.probabilities

        x: numbers (batch, steps, channels), of one channel also (batch, steps), before any
        scaling, missing ones NaN where the net was trained on such data; symbols (batch, steps); or
        a text, or a list of texts of one length. An array, a tensor or nested lists. Whole numbers
        beyond 2**53 keep all digits in an array of whole numbers alone.
        Gives a `Prediction`: of the last step where the task scores that alone, of its last so many
        steps, or of every step. Nets run in evaluation mode and without gradients.
        Raises UserError, one line, for inputs that do not fit.
        """
        said = self._described()
        x = to_net(self, entering(said.inputs, x))
        steps = int(x.shape[1])
        last = steps if said.answers.steps is None else min(said.answers.steps, steps)
        with _evaluating(self):
            outputs_BSO = self(x, last=last)
        if said.answers.steps == 1:
            outputs_BSO = outputs_BSO[:, 0]
        return answered(said.answers, outputs_BSO)

    def stream_predict(
        self, x: Any, state: StreamState | None = None
    ) -> tuple[Prediction, StreamState]:
        """The answers at each of the next steps of a sequence, and the state after them.

            >>> answers, state = model.stream_predict(first)
            >>> answers, state = model.stream_predict(more, state)

        x is as in `predict`, of one step or of many; the state is None at a sequence's beginning.
        A state is used once: `copy.deepcopy` it to go on from it twice.
        Raises UserError as `predict` does, and for a state of another net or batch.
        """
        if not (state is None or isinstance(state, StreamState)):
            raise UserError(
                "stream_predict: a state must be what stream_predict gave before, or None to "
                f"begin; got {type(state).__name__}"
            )
        said = self._described()
        before = None if state is None else state.last_BC
        entered = to_net(self, entering(said.inputs, x, before))
        with _evaluating(self):
            outputs_BTO, after = self.stream(entered, None if state is None else state.net)
        after = StreamState(after, last_values(said.inputs, x, before))
        return answered(said.answers, outputs_BTO), after

    def _described(self) -> Described:
        return described(self.config_, self.where_)


@contextmanager
def _evaluating(net: Net) -> Iterator[None]:
    """Evaluation mode, without gradients."""
    training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(training)


def answered(answers: Answers, outputs: Tensor) -> Prediction:
    """The answers [B, S, ...] to outputs [B, S, O], or without the axis S."""
    form, outputs = answers.form, outputs.double().cpu()
    if form.kind == "classes":
        probabilities = outputs.softmax(-1).numpy()
        alike = {type(name) for name in answers.names} in ({str}, {int})
        names = np.array(answers.names, None if alike else object)
        return Prediction(names[probabilities.argmax(-1)], probabilities, answers.names)
    if form.kind == "binary":
        probabilities = outputs.sigmoid().numpy()
        return Prediction(probabilities > 0.5, probabilities)
    values, scale, offset = outputs.numpy(), np.array(answers.scale), answers.offset
    if form.kind == "quantiles":
        values = values.reshape(*values.shape[:-1], form.targets, len(form.quantiles))
        values = values * scale[:, None] + np.array(offset)[:, None]
        return Prediction(values, None, levels=form.quantiles)
    return Prediction(values * scale + np.array(offset), None)
