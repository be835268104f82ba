"""The classes of plug-in files. A file is run once in a process."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from functools import lru_cache
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from drnn_bench.errors import UserError
from drnn_bench.plugins.foreign_code import Stopped, error_text, running
from drnn_bench.plugins.kinds import Extension, Kind, check


@lru_cache
def classes_of(paths: str) -> dict[tuple[Kind, str], type[Extension]]:
    """The tasks, families, metrics and cells in the files of `paths`, separated as in PATH.

    Raises UserError where a file cannot be run, defines no such class, or takes a name that is in
    use.
    """
    classes: dict[tuple[Kind, str], type[Extension]] = {}
    for path, defined in defined_by(paths).items():
        if not defined:
            raise UserError(
                f"plug-in {path}: no class in it is a task, a family, a metric or a cell"
            )
        for cls in defined:
            check(cls, f"plug-in {path}")
            kind = cls.kind_of_extension
            name = getattr(cls, kind.label)
            if name in kind.built_in:
                raise UserError(
                    f"plug-in {path}: {name!r} is a {kind.word} of drnn_bench's own; "
                    "take another name"
                )
            if (kind, name) in classes:
                other = source_file(classes[kind, name])
                raise UserError(f"plug-in {path}: {kind.word} {name!r} is also in {other}")
            classes[kind, name] = cls
    return classes


@lru_cache
def defined_by(paths: str) -> dict[Path, list[type[Extension]]]:
    """The same by file, unchecked."""
    files = map(Path, filter(None, paths.split(os.pathsep)))
    return {path: _defined_in(_run(path.absolute())) for path in files}


class Loader(SourceFileLoader):
    """Runs a file's source, and keeps the hash of what it ran. It never runs a compiled copy, which
    may be of a file of the same size and second."""

    sha256 = ""

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path)
        self.sha256 = sha256(source).hexdigest()
        return self.source_to_code(source, self.path)


def _run(path: Path) -> ModuleType:
    """Runs a file as a module, once, under a name that depends on its path alone."""
    name = f"drnn_bench_plugin_{sha256(str(path).encode()).hexdigest()[:8]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    if path.suffix != ".py":
        raise UserError(f"plug-in {path} is no Python file: its name must end in .py")
    loader = Loader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # for a loader is given
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with running(f"plug-in {path}"):
            loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, FileNotFoundError) and error.filename == str(path):
            raise UserError(f"plug-in {path} does not exist") from None
        if isinstance(error, Stopped):
            raise KeyboardInterrupt from None
        raise UserError(f"plug-in {path}{_line(error, path)}: {error_text(error)}") from None
    return module


def _defined_in(module: ModuleType) -> list[type[Extension]]:
    """The tasks, families, metrics and cells that a module defines, without what it imports."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Extension)
        if value.__module__ == module.__name__ and not value.__name__.startswith("_")
    ]


def _line(error: BaseException, path: Path) -> str:
    """The line of the file at which an error was raised, for a message."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {frames[-1].lineno}" if frames else ""


def source_file(cls: type) -> Path:
    """The file that defines a class."""
    return Path(inspect.getfile(cls))
