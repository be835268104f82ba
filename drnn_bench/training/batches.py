"""The loss of each training step, from data in an order that can be saved and restored.

Legend: N sequences, B batch, T steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from drnn_bench.models.inputs import Net
from drnn_bench.models.streaming import State, detach
from drnn_bench.tasks.task import Task
from drnn_bench.training.losses import mean_loss
from drnn_bench.training.scoring import inputs, scored, targets


class SequenceBatches:
    """Batches of whole sequences, which every epoch takes in a new order."""

    def __init__(self, model: Net, task: Task, data: tuple, batch: int, seed: int, device: str):
        self._model, self._task, self._device = model, task, device
        self._data = tuple(map(np.asarray, data))  # an array mapped from disk is slower to index
        self._count = len(data[0])
        self._batch = min(batch, self._count)
        self._rng = np.random.default_rng(seed)
        self._new_epoch()

    def loss(self) -> Tensor:
        """The loss of the next batch."""
        if self._at + self._batch > self._count:
            self._new_epoch()
        rows = self._order[self._at : self._at + self._batch]
        self._at += self._batch
        outputs, y = scored(self._model, self._task, self._data, rows, self._device)
        return mean_loss(self._task.loss_function, self._task.target_form, outputs, y)

    def _new_epoch(self) -> None:
        self._before = self._rng.bit_generator.state
        self._order, self._at = self._rng.permutation(self._count), 0
        # Each batch sorted, as the data is mapped from disk and read in ascending order.
        whole = self._count - self._count % self._batch
        self._order[:whole].reshape(-1, self._batch).sort(axis=1)

    @property
    def state(self) -> dict[str, Any]:
        return {"generator": self._before, "at": self._at}

    def restore(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["generator"]
        self._new_epoch()
        self._at = state["at"]


class StreamChunks:
    """Chunks of B contiguous streams of one long sequence. The model's state is carried from chunk
    to chunk, and no gradient flows back from one to the one before. Every pass over the sequence
    begins at another step."""

    def __init__(self, model: Net, task: Task, data: tuple, batch: int, seed: int, device: str):
        self._model, self._task, self._data, self._device = model, task, data, device
        count = len(data[0])
        self._batch = min(batch, max(1, count // (2 * task.length)))
        self._per = count // self._batch
        self._rng = np.random.default_rng(seed)
        self._new_pass()

    def loss(self) -> Tensor:
        """The loss of the next chunk of every stream."""
        if self._at + self._task.length > self._per:
            self._new_pass()
        x, y = self._data
        rows = self._rows[:, self._at : self._at + self._task.length]
        self._at += self._task.length
        chunk = inputs(self._task, x[rows], self._device, self._model)
        outputs, self._state = self._model.stream(chunk, detach(self._state))
        wanted = targets(self._task, y[rows], self._device)
        return mean_loss(self._task.loss_function, self._task.target_form, outputs, wanted)

    def _new_pass(self) -> None:
        self._before = self._rng.bit_generator.state
        begin, count = int(self._rng.integers(len(self._data[0]))), len(self._data[0])
        starts = np.arange(self._batch)[:, None] * self._per
        self._rows = (starts + np.arange(self._per) + begin) % count
        self._at, self._state = 0, None

    @property
    def state(self) -> dict[str, Any]:
        state = self._state
        left = None if state is None else [detach(state.parts), state.batch]
        return {"generator": self._before, "at": self._at, "left": left}

    def restore(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["generator"]
        self._new_pass()
        self._at = state["at"]
        if state["left"] is not None:
            parts, batch = state["left"]
            dtype = next(self._model.parameters()).dtype.to_real()
            self._state = State(parts, self._model.built_from_, batch, dtype)
