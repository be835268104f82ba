"""The classes of installed packages, by their entry points."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from drnn_bench.errors import UserError
from drnn_bench.plugins.foreign_code import Stopped, error_text, running
from drnn_bench.plugins.kinds import Extension, Kind, check

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@lru_cache
def entry_points_of(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of a group, in all installed packages; nothing is imported."""
    from importlib.metadata import entry_points  # here: `bench --help` does not need it

    return tuple(entry_points(group=group))


@lru_cache
def load(kind: Kind, point: EntryPoint) -> type[Extension]:
    """Imports the class of an entry point. Raises UserError where that fails, and where the class
    is not of the kind or of the name that the entry point says."""
    where = describe(point)
    try:
        with running(where):
            cls = point.load()
    except BaseException as error:
        if isinstance(error, Stopped):
            raise KeyboardInterrupt from None
        raise UserError(f"{where} cannot be imported: {error_text(error)}") from None
    if not (isinstance(cls, type) and issubclass(cls, Extension) and cls.kind_of_extension is kind):
        raise UserError(f"{where} is no {kind.word}: no subclass of {kind.base}")
    check(cls, where)
    if getattr(cls, kind.label) != point.name:
        raise UserError(f"{where}: the class has {kind.label} = {getattr(cls, kind.label)!r}")
    return cls


def describe(point: EntryPoint) -> str:
    """An entry point as messages name it."""
    package = f" of package {point.dist.name}" if point.dist else ""
    return f"entry point {point.name} = {point.value!r}{package}"
