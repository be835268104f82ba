"""The tasks by name: those of `names`, and those of plug-ins."""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
import typing
from typing import Any

from drnn_bench import plugins
from drnn_bench.errors import UserError, nearest
from drnn_bench.tasks.names import TASK, TASKS
from drnn_bench.tasks.spec import split_spec

if typing.TYPE_CHECKING:
    from drnn_bench.tasks.task import Task


def task_names() -> list[str]:
    """Those above, then those of plug-ins."""
    return [*TASKS, *plugins.names(TASK)]


def task_type(name: str) -> type[Task]:
    brought = plugins.find(TASK, name)
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
    """`NAME` or `NAME:key=value,...` -> the task (see `spec`). Raises UserError naming what is
    unknown."""
    return _make(*split_spec(spec))


def sized_task(spec: str, data_dir: str | None = None) -> Task:
    """The same with its sizes known: its data is read where only that tells them."""
    task = parse_task(spec)
    check_data_dir(data_dir)
    if any("learned" in f.metadata for f in dataclasses.fields(task)):
        return task.read(data_dir).task
    return task


def check_data_dir(data_dir: str | None) -> None:
    """Raises UserError where the folder is not there, whether or not a task reads it."""
    if data_dir is not None and not os.path.exists(data_dir):
        raise UserError(f"data folder {data_dir} does not exist (--data-dir)")


def make_task(name: str, pairs: list[str]) -> Task:
    """A task from its name and `key=value` words, the values as they are: nothing is quoted."""
    split = [pair.partition("=") for pair in pairs]
    return _make(name, [(key, value if equals else None) for key, equals, value in split])


def _make(name: str, pairs: list[tuple[str, str | None]]) -> Task:
    kind = task_type(name)
    types = typing.get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind) if "learned" not in f.metadata]
    paths = {f.name for f in dataclasses.fields(kind) if "path" in f.metadata}
    options: dict[str, Any] = {}
    for key, value in pairs:
        if key not in known:
            hint = nearest(key, known) if known else "it has none"
            if value is None and options:
                hint += '; a value with a comma is written in double quotes: key="a,b"'
            raise UserError(f"task {name} has no option {key!r}: {hint}")
        if key in options:
            raise UserError(f"task {name}: option {key!r} is given twice")
        if value is None or (value == "" and types[key] in (str, str | None)):
            raise UserError(f"task {name}: option {key!r} needs a value: {key}=...")
        if not _possible(value, path=key in paths):
            raise UserError(f"task {name}: {key}={value!r} has characters that no name has")
        options[key] = _value(name, key, value, types[key])
    return kind(**options)


def _possible(text: str, path: bool) -> bool:
    """Whether a value can stand in a record: it is UTF-8. A path, which stands in none, may be any
    bytes that the file system has."""
    try:
        return b"\0" not in (os.fsencode(text) if path else text.encode())
    except UnicodeEncodeError:
        return False


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
        noun = "whole number" if kind is int else "number"
        raise UserError(f"task {name}: {key}={text} is no {noun}")
    return text
