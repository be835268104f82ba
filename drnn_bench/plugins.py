"""Tasks and families that a user brings: Python files, and entry points of installed packages.

A file is named by `bench --plugin FILE` or by the variable DRNN_BENCH_PLUGINS (absolute paths,
separated as PATH is), which worker processes inherit. Every class in it that is a task or a family
counts, unless its name begins with _. All files are read before a name is looked up.

A package names what it brings under the entry points `drnn_bench.tasks` and `drnn_bench.models`,
`name = "module:Class"`. Such a class is imported only when its name is asked for, or all names
are: a package that is broken harms nothing else.

No name may stand for two things, and none is taken from what comes with drnn_bench.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import io
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from drnn_bench.errors import UserError
from drnn_bench.escape import plain

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

VARIABLE = "DRNN_BENCH_PLUGINS"


@dataclass(frozen=True)
class Kind:
    """What may be brought, and what a class must say to be one. `needs`: the members that its
    base class leaves open, `a or b` where either will do."""

    word: str
    label: str  # the class attribute that names it
    group: str  # of entry points; also the module that lists those which come with drnn_bench
    registry: str  # the list's name there
    base: tuple[str, str]
    needs: tuple[str, ...]


TASK = Kind(
    word="task",
    label="name",
    group="drnn_bench.tasks",
    registry="TASKS",
    base=("drnn_bench.tasks.task", "Task"),
    needs=(
        "version", "summary", "metric", "scored", "input_size", "output_size", "length",
        "default_budget", "default_steps", "default_trials", "load or read",
    ),
)  # fmt: skip
FAMILY = Kind(
    word="family",
    label="family",
    group="drnn_bench.models",
    registry="FAMILIES",
    base=("drnn_bench.models.architecture", "Architecture"),
    needs=(
        "summary", "depth or layers", "period", "paths", "recurrent_edges_per_node",
        "sequential_steps", "network",
    ),
)  # fmt: skip


def plugin(path: str | os.PathLike[str]) -> None:
    """Takes a Python file's tasks and families into this process and the workers it starts.

    Raises ValueError where there is no such file. What is wrong inside it is said when a task or a
    family is first asked for.
    """
    path = Path(path).absolute()
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise UserError(f"plug-in {path} {what}")
    if os.pathsep in str(path):
        raise UserError(f"plug-in {path}: its path must hold no {os.pathsep!r}")
    paths = filter(None, [*os.environ.get(VARIABLE, "").split(os.pathsep), str(path)])
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(paths))


def find(kind: Kind, name: str) -> type | None:
    """The class of a plug-in by name; None where no plug-in has it."""
    brought = _in_files(os.environ.get(VARIABLE, "")).get((kind, name))
    if name in _built_in(kind):
        return None
    points = [point for point in _entry_points(kind.group) if point.name == name]
    if len(points) + (brought is not None) > 1:
        places = [*map(_where, points), *([f"plug-in {_file(brought)}"] if brought else [])]
        raise UserError(f"{kind.word} {name!r} stands for {len(places)}: {'; '.join(places)}")
    return brought or (_load_point(kind, points[0]) if points else None)


def names(kind: Kind) -> list[str]:
    """Every name that plug-ins bring, those of files first. Nothing is imported but the files."""
    brought = [name for of, name in _in_files(os.environ.get(VARIABLE, "")) if of == kind]
    installed = sorted(point.name for point in _entry_points(kind.group))
    return list(dict.fromkeys(n for n in brought + installed if n not in _built_in(kind)))


def overruled(kind: Kind) -> list[str]:
    """A line on each entry point whose name is taken by what comes with drnn_bench."""
    return [
        f"{_where(point)} is left out: {point.name!r} is a {kind.word} of drnn_bench's own"
        for point in _entry_points(kind.group)
        if point.name in _built_in(kind)
    ]


def source_file(kind: type) -> Path:
    """The file that defines a class."""
    return Path(sys.modules[kind.__module__].__file__)


# -- files -------------------------------------------------------------------------------------


@lru_cache
def _in_files(variable: str) -> dict[tuple[Kind, str], type]:
    """What the files of the variable bring."""
    brought: dict[tuple[Kind, str], type] = {}
    for path in map(Path, filter(None, variable.split(os.pathsep))):
        classes = _classes(_load(path.absolute()))
        if not classes:
            raise UserError(f"plug-in {path}: no class in it is a task or a family")
        for kind, found in classes:
            _check(kind, found, f"plug-in {path}")
            name = getattr(found, kind.label)
            if name in _built_in(kind):
                raise UserError(
                    f"plug-in {path}: {name!r} is a {kind.word} of drnn_bench's own; "
                    "take another name"
                )
            if (kind, name) in brought:
                other = _file(brought[kind, name])
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
        with _running(f"plug-in {path}"):
            spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, FileNotFoundError) and error.filename == str(path):
            raise UserError(f"plug-in {path} does not exist") from None
        if isinstance(error, _Stopped):
            raise KeyboardInterrupt from None
        raise UserError(f"plug-in {path}{_line(error, path)}: {_said(error)}") from None
    return module


class _Stopped(KeyboardInterrupt):
    """Ctrl-C; any other KeyboardInterrupt was raised by the code that ran."""


@contextlib.contextmanager
def _running(where: str) -> Iterator[None]:
    """Around foreign code: what it prints goes to standard error, line by line, with where it comes
    from, so that no table or JSON of ours has it in its midst."""
    printed = io.StringIO()
    ours = threading.current_thread() is threading.main_thread()

    def stop(*_: object) -> None:
        raise _Stopped

    # None: somebody has set a handler from C, which we could not put back.
    before = signal.getsignal(signal.SIGINT) if ours else None
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(sys.stderr):
            yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
        for line in printed.getvalue().splitlines():
            print(plain(f"{where} prints: {line}"), file=sys.stderr)


def _classes(module: ModuleType) -> list[tuple[Kind, type]]:
    """The tasks and families that a module defines itself."""
    return [
        (kind, thing)
        for thing in vars(module).values()
        for kind in (TASK, FAMILY)
        if isinstance(thing, type) and issubclass(thing, _base(kind))
        if thing.__module__ == module.__name__ and not thing.__name__.startswith("_")
    ]


def _line(error: BaseException, path: Path) -> str:
    """Where in the file an error came up."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {frames[-1].lineno}" if frames else ""


def _said(error: BaseException) -> str:
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # an exception of the plug-in's own
        said = "it does not say why"
    return " ".join(f"{type(error).__name__}: {said}".split())


def _file(kind: type) -> str:
    return str(source_file(kind))


# -- entry points ------------------------------------------------------------------------------


@lru_cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


@lru_cache
def _load_point(kind: Kind, point: EntryPoint) -> type:
    where = _where(point)
    try:
        with _running(where):
            found = point.load()
    except BaseException as error:
        if isinstance(error, _Stopped):
            raise KeyboardInterrupt from None
        raise UserError(f"{where} cannot be imported: {_said(error)}") from None
    if not (isinstance(found, type) and issubclass(found, _base(kind))):
        raise UserError(f"{where} is no {kind.word}: no subclass of {'.'.join(kind.base)}")
    _check(kind, found, where)
    if getattr(found, kind.label) != point.name:
        raise UserError(f"{where}: the class has {kind.label} = {getattr(found, kind.label)!r}")
    return found


def _where(point: EntryPoint) -> str:
    package = f" of package {point.dist.name}" if point.dist else ""
    return f"entry point {point.name} = {point.value!r}{package}"


# -- what a class must say ---------------------------------------------------------------------


def _check(kind: Kind, found: type, where: str) -> None:
    """Raises UserError where a class leaves out what every task or family has."""
    where = f"{where}: class {found.__name__}"
    if kind.label not in vars(found):
        raise UserError(f'{where} lacks {kind.label} = "..." (a base class begins with _)')
    if "__dataclass_fields__" not in vars(found):
        raise UserError(f"{where} lacks the line @dataclass(frozen=True, kw_only=True) above it")
    lacking = [
        need
        for need in kind.needs
        if not any(_says(found, _base(kind), name) for name in need.split(" or "))
    ]
    if lacking:
        raise UserError(f"{where} lacks {', '.join(lacking)}")
    name = getattr(found, kind.label)
    if not (isinstance(name, str) and re.fullmatch(r"[a-z]\w*", name, re.ASCII)) or name == "all":
        raise UserError(
            f"{where}: {kind.label} = {name!r} must be lower-case letters, digits and _"
        )
    inherited = {field.name for field in dataclasses.fields(_base(kind))}
    for field in dataclasses.fields(found):
        if field.name in (kind.label, "version", "summary", "metric"):
            raise UserError(f"{where}: {field.name} is no option: write it without `: type`")
        given = field.default is not MISSING or field.default_factory is not MISSING
        if not given and field.name not in inherited:
            raise UserError(f"{where}: option {field.name} needs a default")
    if kind is TASK:
        _check_metric(found, where)


def _check_metric(found: Any, where: str) -> None:
    from drnn_bench.tasks.task import DIRECTIONS

    if not isinstance(found.metric, property) and found.metric not in DIRECTIONS:
        raise UserError(f"{where}: metric {found.metric!r} is none of {', '.join(DIRECTIONS)}")


def _says(found: type, base: type, name: str) -> bool:
    """Whether a class has a member that its base only names."""
    return getattr(found, name, MISSING) is not getattr(base, name, MISSING)


def _base(kind: Kind) -> type:
    module, name = kind.base
    return getattr(importlib.import_module(module), name)


def _built_in(kind: Kind) -> dict[str, Any]:
    return getattr(importlib.import_module(kind.group), kind.registry)
