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

import os
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.plugins.files import Loader, in_files, source_file
from drnn_bench.plugins.kinds import Extension, Kind
from drnn_bench.plugins.points import entry_points_of, load, where_of

__all__ = [
    "VARIABLE",
    "Extension",
    "Kind",
    "Loader",
    "find",
    "names",
    "overruled",
    "plugin",
    "source_file",
]

VARIABLE = "DRNN_BENCH_PLUGINS"


def plugin(path: str | os.PathLike[str]) -> None:
    """Takes a Python file's tasks and families into this process and the workers it starts.

        >>> drnn_bench.plugin("my_nets.py")

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
    brought = in_files(os.environ.get(VARIABLE, "")).get((kind, name))
    if name in kind.built_in:
        return None
    points = [point for point in entry_points_of(kind.group) if point.name == name]
    if len(points) + (brought is not None) > 1:
        places = [*map(where_of, points), *([f"plug-in {source_file(brought)}"] if brought else [])]
        raise UserError(f"{kind.word} {name!r} stands for {len(places)}: {'; '.join(places)}")
    return brought or (load(kind, points[0]) if points else None)


def names(kind: Kind) -> list[str]:
    """Every name that plug-ins bring, those of files first. Nothing is imported but the files."""
    brought = [name for of, name in in_files(os.environ.get(VARIABLE, "")) if of == kind]
    installed = sorted(point.name for point in entry_points_of(kind.group))
    return list(dict.fromkeys(n for n in brought + installed if n not in kind.built_in))


def overruled(kind: Kind) -> list[str]:
    """A line on each entry point whose name is taken by what comes with drnn_bench."""
    return [
        f"{where_of(point)} is left out: {point.name!r} is a {kind.word} of drnn_bench's own"
        for point in entry_points_of(kind.group)
        if point.name in kind.built_in
    ]
