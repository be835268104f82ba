"""The classes of plug-ins by their names."""

from __future__ import annotations

import os
from pathlib import Path

from drnn_bench.errors import UserError
from drnn_bench.plugins.entry_points import describe, entry_points_of, load
from drnn_bench.plugins.files import classes_of, defined_by, source_file
from drnn_bench.plugins.kinds import Extension, Kind

VARIABLE = "DRNN_BENCH_PLUGINS"


def plugin(path: str | os.PathLike[str]) -> None:
    """Adds a Python file's tasks, families, metrics and cells to this process and its trainers.

        >>> drnn_bench.plugin("my_nets.py")

    Raises ValueError where there is no such file. Errors in the file are raised when a task, a
    family, a metric or a cell is first asked for.
    """
    path = Path(path).absolute()
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise UserError(f"plug-in {path} {what}")
    if os.pathsep in str(path):
        raise UserError(f"plug-in {path}: its path must hold no {os.pathsep!r}")
    paths = filter(None, [*os.environ.get(VARIABLE, "").split(os.pathsep), str(path)])
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(paths))


def names_in(path: str | os.PathLike[str]) -> list[tuple[Kind, str]]:
    """Adds a Python file, and gives the kind and the name of each class that it defines.

    Raises UserError where it cannot be loaded, alone or beside the files that were added before.
    """
    plugin(path)
    _from_files()
    return list(classes_of(str(Path(path).absolute())))


def find(kind: Kind, name: str) -> type | None:
    """The class of a plug-in by name; None where no plug-in has it.

    Raises UserError where a plug-in file is broken, and where several plug-ins have the name.
    """
    from_file = _from_files().get((kind, name))
    if name in kind.built_in:
        return None
    points = [point for point in entry_points_of(kind.group) if point.name == name]
    if len(points) + (from_file is not None) > 1:
        places = [describe(point) for point in points]
        places += [f"plug-in {source_file(from_file)}"] if from_file else []
        raise UserError(f"{kind.word} {name!r} stands for {len(places)}: {'; '.join(places)}")
    return from_file or (load(kind, points[0]) if points else None)


def find_unchecked(kind: Kind, name: str) -> type | None:
    """The same before the classes of files are checked: for the check of a class that names one of
    another kind, which may stand in the same file."""
    for defined in defined_by(os.environ.get(VARIABLE, "")).values():
        for cls in defined:
            if cls.kind_of_extension is kind and vars(cls).get(kind.label) == name:
                return cls
    points = [point for point in entry_points_of(kind.group) if point.name == name]
    return load(kind, points[0]) if points else None


def names(kind: Kind) -> list[str]:
    """The names of all plug-ins of a kind, those of files first. Files are run; no package is
    imported."""
    in_files = [name for its_kind, name in _from_files() if its_kind == kind]
    installed = sorted(point.name for point in entry_points_of(kind.group))
    return list(dict.fromkeys(n for n in in_files + installed if n not in kind.built_in))


def overruled(kind: Kind) -> list[str]:
    """A line on each entry point whose name is that of a class of drnn_bench."""
    return [
        f"{describe(point)} is left out: {point.name!r} is a {kind.word} of drnn_bench's own"
        for point in entry_points_of(kind.group)
        if point.name in kind.built_in
    ]


def _from_files() -> dict[tuple[Kind, str], type[Extension]]:
    return classes_of(os.environ.get(VARIABLE, ""))
