"""Plug-in files: read once, and what their classes bring."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from functools import lru_cache
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.plugins.foreign import Stopped, in_words, running
from drnn_bench.plugins.kinds import Extension, Kind, check


@lru_cache
def in_files(variable: str) -> dict[tuple[Kind, str], type]:
    """What the files of the variable bring."""
    brought: dict[tuple[Kind, str], type] = {}
    for path in map(Path, filter(None, variable.split(os.pathsep))):
        classes = _classes(_load(path.absolute()))
        if not classes:
            raise UserError(f"plug-in {path}: no class in it is a task or a family")
        for kind, found in classes:
            check(found, f"plug-in {path}")
            name = getattr(found, kind.label)
            if name in kind.built_in:
                raise UserError(
                    f"plug-in {path}: {name!r} is a {kind.word} of drnn_bench's own; "
                    "take another name"
                )
            if (kind, name) in brought:
                other = source_file(brought[kind, name])
                raise UserError(f"plug-in {path}: {kind.word} {name!r} is also in {other}")
            brought[kind, name] = found
    return brought


class Loader(SourceFileLoader):
    """Runs a file's source itself, never a compiled copy (which may be of a file of the same size
    and second), and keeps the hash of what it ran."""

    sha256 = ""

    def get_code(self, fullname: str) -> Any:
        source = self.get_data(self.path)
        self.sha256 = sha256(source).hexdigest()
        return self.source_to_code(source, self.path)


def _load(path: Path) -> ModuleType:
    """Runs a file as a module, once, under a name that hangs on its path alone."""
    name = f"drnn_bench_plugin_{sha256(str(path).encode()).hexdigest()[:8]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    if path.suffix != ".py":
        raise UserError(f"plug-in {path} is no Python file: its name must end in .py")
    spec = importlib.util.spec_from_file_location(name, path, loader=Loader(name, str(path)))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with running(f"plug-in {path}"):
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, FileNotFoundError) and error.filename == str(path):
            raise UserError(f"plug-in {path} does not exist") from None
        if isinstance(error, Stopped):
            raise KeyboardInterrupt from None
        raise UserError(f"plug-in {path}{_line(error, path)}: {in_words(error)}") from None
    return module


def _classes(module: ModuleType) -> list[tuple[Kind, type]]:
    """The tasks and families that a module defines itself."""
    return [
        (thing.kind_of_extension, thing)
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Extension)
        if thing.__module__ == module.__name__ and not thing.__name__.startswith("_")
    ]


def _line(error: BaseException, path: Path) -> str:
    """Where in the file an error came up."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {frames[-1].lineno}" if frames else ""


def source_file(kind: type) -> Path:
    """The file that defines a class."""
    return Path(sys.modules[kind.__module__].__file__)
