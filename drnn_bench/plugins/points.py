"""Entry points of installed packages. A class is imported only when its name is asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from drnn_bench.errors import UserError
from drnn_bench.plugins.foreign import Stopped, in_words, running
from drnn_bench.plugins.kinds import Extension, Kind, check

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@lru_cache
def entry_points_of(group: str) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


@lru_cache
def load(kind: Kind, point: EntryPoint) -> type:
    where = where_of(point)
    try:
        with running(where):
            found = point.load()
    except BaseException as error:
        if isinstance(error, Stopped):
            raise KeyboardInterrupt from None
        raise UserError(f"{where} cannot be imported: {in_words(error)}") from None
    if not (
        isinstance(found, type) and issubclass(found, Extension) and found.kind_of_extension is kind
    ):
        raise UserError(f"{where} is no {kind.word}: no subclass of {kind.base}")
    check(found, where)
    if getattr(found, kind.label) != point.name:
        raise UserError(f"{where}: the class has {kind.label} = {getattr(found, kind.label)!r}")
    return found


def where_of(point: EntryPoint) -> str:
    package = f" of package {point.dist.name}" if point.dist else ""
    return f"entry point {point.name} = {point.value!r}{package}"
