"""The cells by name: those of `names`, and those of plug-ins."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from drnn_bench import plugins
from drnn_bench.cells.names import CELL, CELLS
from drnn_bench.errors import UserError, nearest

if TYPE_CHECKING:
    from drnn_bench.cells.cell import Cell


def cell_names() -> list[str]:
    """The built-in cells, then those of plug-ins."""
    return [*CELLS, *plugins.names(CELL)]


def find_cell(name: str) -> Cell:
    """The cell of a name. Raises UserError for an unknown one."""
    named = isinstance(name, str)  # a file from outside may have anything here
    of_plugin = plugins.find(CELL, name) if named else None
    if of_plugin is not None:
        return of_plugin()
    if not named or name not in CELLS:
        raise UserError(
            f"unknown cell {name!r}: {nearest(str(name), cell_names())}; one of your own needs "
            "its file: bench --plugin FILE"
        )
    module, kind = CELLS[name]
    return getattr(importlib.import_module(f"drnn_bench.cells.{module}"), kind)()
