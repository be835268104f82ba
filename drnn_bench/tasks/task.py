"""What a task is: data in three fixed splits, the steps that are scored, one metric.

Legend: N sequences, B batch, T steps, I input size.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

SPLITS = ("train", "validation", "test")
DIRECTIONS = {"accuracy": "max", "cross_entropy": "min"}

Arrays = Mapping[str, tuple[np.ndarray, np.ndarray]]  # split -> (inputs, targets)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Base of the tasks. The fields of a subclass are the task's own options.

    `load` gives for each split the inputs, uint8 or float32 of shape [N, T] or [N, T, I], and the
    targets, integers of shape [N] (last step scored) or [N, scored].
    """

    name: ClassVar[str]
    version: ClassVar[int]
    summary: ClassVar[str]
    metric: ClassVar[str]  # accuracy, or cross_entropy in nats
    scored: ClassVar[int]  # the last so many steps
    scale: ClassVar[float] = 1.0  # inputs are multiplied by it
    one_hot: ClassVar[bool] = False  # inputs are symbols 0..input_size-1
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    default_budget: ClassVar[int]
    default_steps: ClassVar[int]
    default_trials: ClassVar[int]

    @property
    def length(self) -> int:
        raise NotImplementedError

    @property
    def direction(self) -> str:
        return DIRECTIONS[self.metric]

    @property
    def options(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def key(self) -> str:
        """The name with every option, as `--task` takes it: copy_memory:T=500."""
        options = ",".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.name}:{options}" if options else self.name

    def load(self, data_dir: str | None) -> Arrays:
        raise NotImplementedError


def data_hash(arrays: Arrays) -> str:
    """16 hex digits over the bytes, shapes and types of all splits, as the models see them."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for array in arrays[split]:
            digest.update(f"{split} {array.dtype.str} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
