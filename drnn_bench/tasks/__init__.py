"""The tasks by name. Adding one is one class and one line here, or a plug-in."""

from __future__ import annotations

import dataclasses
import importlib
import math
import typing
from typing import Any

from drnn_bench import plugins
from drnn_bench.errors import UserError, nearest

if typing.TYPE_CHECKING:
    from drnn_bench.tasks.task import Task

TASKS = {
    "pixel_digits": ("pixels", "PixelDigits"),
    "pixel_mnist": ("pixels", "PixelMNIST"),
    "pixel_mnist_permuted": ("pixels", "PixelMNISTPermuted"),
    "pixel_mnist_noisy": ("pixels", "PixelMNISTNoisy"),
    "copy_memory": ("copy_memory", "CopyMemory"),
    "char_ptb": ("characters", "CharPTB"),
    "char_text": ("characters", "CharText"),
    "speaker_fsdd": ("speakers", "SpeakerFSDD"),
    "speaker_vctk": ("speakers", "SpeakerVCTK"),
    "own": ("own", "Own"),
}
DEFAULT_TASK = "pixel_digits"


def task_names() -> list[str]:
    """Those above, then those of plug-ins."""
    return [*TASKS, *plugins.names(plugins.TASK)]


def task_type(name: str) -> type[Task]:
    brought = plugins.find(plugins.TASK, name)
    if brought is not None:
        return brought
    if name not in TASKS:
        raise UserError(
            f"unknown task {name!r}: {nearest(name, task_names())}; one of your own needs its "
            "file: bench --plugin FILE"
        )
    module, kind = TASKS[name]
    return getattr(importlib.import_module(f"drnn_bench.tasks.{module}"), kind)


def parse_task(spec: str) -> Task:
    """`NAME` or `NAME:key=value,...` -> the task. Raises UserError naming what is unknown."""
    name, _, rest = spec.partition(":")
    return make_task(name, [pair for pair in rest.split(",") if pair])


def sized_task(spec: str, data_dir: str | None = None) -> Task:
    """The same with its sizes known: its data is read where only that tells them."""
    task = parse_task(spec)
    if any("learned" in f.metadata for f in dataclasses.fields(task)):
        return task.read(data_dir).task
    return task


def make_task(name: str, pairs: list[str]) -> Task:
    """A task from its name and `key=value` words."""
    kind = task_type(name)
    types = typing.get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind) if "learned" not in f.metadata]
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            raise UserError(f"task {name} has no option {key!r}: {hint}")
        if key in options:
            raise UserError(f"task {name}: option {key!r} is given twice")
        if not equals:
            raise UserError(f"task {name}: option {key!r} needs a value: {key}=...")
        options[key] = _value(name, key, value, types[key])
    return kind(**options)


def _value(name: str, key: str, text: str, kind: Any) -> int | float | str:
    """An option's text as its type says."""
    kind = {int | None: int, float | None: float}.get(kind, kind)
    try:
        if kind is int:
            return int(text)
        if kind is float and math.isfinite(float(text)):
            return float(text)
    except ValueError:
        pass
    if kind in (int, float):
        wanted = "whole number" if kind is int else "number"
        raise UserError(f"task {name}: {key}={text} is no {wanted}")
    return text
