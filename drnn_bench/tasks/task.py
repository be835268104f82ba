"""What a task is: data in three fixed splits, the steps that are scored, the loss, the metrics.

Legend: N sequences, B batch, T steps, I input size, D targets a step.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.metrics.forms import FORM_OF_LOSS, TargetForm
from drnn_bench.metrics.forms import UNSCORED as UNSCORED  # tasks and plug-ins import it from here
from drnn_bench.metrics.metric import Metric
from drnn_bench.metrics.registry import metric_fault, metric_type
from drnn_bench.plugins import Extension, Kind
from drnn_bench.tasks.names import TASK
from drnn_bench.tasks.spec import join_spec

SPLITS = ("train", "validation", "test")
LONGEST = 1_000_000  # steps of a sequence, or that an edge of a net crosses

# split -> inputs, targets and, where sequences differ in length, their lengths
Arrays = Mapping[str, tuple[np.ndarray, ...]]


def check_range(task: Task, option: str, least: int, most: int) -> None:
    """Raises UserError where an option of a task, if it is given, lies outside of its range."""
    value = getattr(task, option)
    if value is not None and not least <= value <= most:
        bound = f"at least {least}" if value < least else f"at most {most:,}"
        raise UserError(f"task {task.name}: {option} must be {bound}, got {value}")


class Reading(NamedTuple):
    """What reading a task's data gave."""

    task: Task  # with what only its data could tell (learned fields)
    arrays: Arrays
    notes: tuple[str, ...] = ()  # what the user should know of the data, a line each
    facts: Mapping[str, Any] = {}  # what a user of a trained net must know of it, as JSON values


@dataclass(frozen=True, kw_only=True)
class Task(Extension):
    """Base of the tasks. The fields of a subclass are the task's own options.

    `load` gives for each split the inputs, uint8 or float32 of shape [N, T] or [N, T, I], and the
    targets, of shape [N] (last step scored) or [N, scored]. Where sequences differ in length, a
    third array [N] has their lengths, each at least 1: what stands after a sequence's end is never
    seen; its last step is its own, and targets beyond it are UNSCORED. A stream task has one long
    sequence a split: inputs and targets [N], each step scored, in chunks of `length`.

    What targets are depends on `loss_function` (see `drnn_bench.metrics.forms`): classes, whole
    numbers, for cross_entropy; 0 or 1 for bce; real numbers, float32, for mse, mae and quantile.
    Where a step has D of the latter two, targets have one more axis: [N, scored, D]. Targets that
    are NaN are UNSCORED.
    """

    kind_of_extension: ClassVar[Kind] = TASK

    name: ClassVar[str]
    version: ClassVar[int]
    summary: ClassVar[str]
    licence: ClassVar[str] = "not stated by the task"  # of the data
    loss_function: ClassVar[str] = "cross_entropy"  # or bce, mse, mae, quantile
    metric: ClassVar[str]  # ranks the nets; one of drnn_bench.metrics, or a plug-in's
    other_metrics: ClassVar[tuple[str, ...]] = ()  # shown beside it
    quantiles: ClassVar[tuple[float, ...]] = (0.1, 0.5, 0.9)  # levels of the quantile loss
    naive_error: ClassVar[float | None] = None  # what mase divides by, from the training split
    # The metric of the naive forecast on the training split; guessing is the better of it and the
    # best constant answer.
    naive_value: ClassVar[float | None] = None
    # Real targets: nets are trained on (target - offset) / scale, a number for all targets or one
    # for each of the D; metrics are in the targets' own unit.
    target_offset: ClassVar[float | tuple[float, ...]] = 0.0
    target_scale: ClassVar[float | tuple[float, ...]] = 1.0
    scored: ClassVar[int | None]  # the last so many steps; None: every step of a stream
    scale: ClassVar[float] = 1.0  # inputs are multiplied by it
    stream: ClassVar[bool] = False  # one long sequence, the state carried from chunk to chunk
    prefix: ClassVar[int | None] = None  # of a stream: the search validates on so many steps
    unequal: ClassVar[bool] = False  # sequences differ in length
    solved_at: ClassVar[float | None] = None  # finals whose test metric is this or better solved it
    target_value: ClassVar[float | None] = None  # of the validation; boards tell the time to it
    one_hot: ClassVar[bool] = False  # inputs are symbols 0..input_size-1
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    default_budget: ClassVar[int]
    default_steps: ClassVar[int]
    default_trials: ClassVar[int]
    default_seeds: ClassVar[int] = 7  # of each finalist

    @property
    def length(self) -> int:
        raise NotImplementedError

    @classmethod
    def check_class(cls, where: str) -> None:
        if isinstance(cls.loss_function, str) and cls.loss_function not in FORM_OF_LOSS:
            raise UserError(
                f"{where}: loss_function {cls.loss_function!r} is none of {', '.join(FORM_OF_LOSS)}"
            )
        named = (cls.loss_function, cls.metric, cls.other_metrics)
        if not any(isinstance(value, property) for value in named):
            fault = metric_fault(cls.loss_function, (cls.metric, *cls.other_metrics))
            if fault is not None:
                raise UserError(f"{where}: {fault}")
        _check_levels(where, cls.quantiles)
        for name in ("solved_at", "target_value"):
            value = getattr(cls, name)
            if not (value is None or isinstance(value, property) or _is_finite(value)):
                raise UserError(
                    f"{where}: {name} must be a value of the metric or None, got {value!r}"
                )

    @property
    def direction(self) -> str:
        return metric_type(self.metric).direction

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All that are reported; the first ranks."""
        return tuple(metric_type(name)() for name in (self.metric, *self.other_metrics))

    @property
    def target_form(self) -> TargetForm:
        """What its targets and a net's outputs are."""
        kind = FORM_OF_LOSS[self.loss_function]
        levels = self.quantiles if kind == "quantiles" else ()
        return TargetForm(kind, self.output_size, levels, self.naive_error)

    @property
    def needed_spans(self) -> tuple[int, ...]:
        """The spans in steps, from an input to an output, that its answers need; empty where the
        task does not know them. A net that cannot cross one of them cannot learn the task."""
        return ()

    @property
    def margin(self) -> float:
        """The smallest difference of the metric that anybody would choose a net for."""
        return metric_type(self.metric).margin

    @property
    def saved(self) -> dict[str, Any]:
        """Every field but the user's paths: enough to have the task again beside its arrays."""
        return {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if "path" not in f.metadata
        }

    @property
    def key(self) -> str:
        """The name with its options, as `--task` takes it: copy_memory:T=500.

        Fields may be marked: `path` (the user's, in no record), `learned` (found in the data, no
        option), `quiet` (not shown where learned, or where it has its default).
        """
        shown = [
            (f.name, getattr(self, f.name))
            for f in dataclasses.fields(self)
            if "path" not in f.metadata and not self._quiet(f)
        ]
        return join_spec(self.name, shown)

    def _quiet(self, field: dataclasses.Field) -> bool:
        if "quiet" not in field.metadata:
            return getattr(self, field.name) is None
        return "learned" in field.metadata or getattr(self, field.name) == field.default

    def read(self, data_dir: str | None) -> Reading:
        """The arrays, and what only they could tell. Raises UserError naming what is wrong."""
        return Reading(self, self.load(data_dir))

    def load(self, data_dir: str | None) -> Arrays:
        """The arrays alone. Every task has this or `read`."""
        return self.read(data_dir).arrays


def _check_levels(where: str, levels: Any) -> None:
    if isinstance(levels, property):
        return
    if not (
        isinstance(levels, tuple)
        and levels
        and all(isinstance(q, float) and 0 < q < 1 for q in levels)
        and list(levels) == sorted(set(levels))
    ):
        raise UserError(
            f"{where}: quantiles must be levels between 0 and 1 in ascending order, got {levels!r}"
        )


def _is_finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def data_hash(arrays: Arrays) -> str:
    """16 hex digits over the bytes, shapes and types of all splits, as the models see them."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for array in arrays[split]:
            digest.update(f"{split} {array.dtype.str} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
