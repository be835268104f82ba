"""`bench new`: a file of one's own to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drnn_bench.cells.names import CELL
from drnn_bench.cli.options import say
from drnn_bench.errors import UserError, nearest
from drnn_bench.metrics.names import METRIC
from drnn_bench.models.names import FAMILY
from drnn_bench.system.escape import shell
from drnn_bench.tasks.names import TASK

KINDS = {kind.word: kind for kind in (FAMILY, CELL, TASK, METRIC)}


def new(
    kind: Annotated[str, typer.Argument(help=f"What it is: {', '.join(KINDS)}.")],
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _.")],
) -> None:
    """Write a file of your own to begin with, in this folder. `bench check` passes it
    as it stands; no file is overwritten."""
    from drnn_bench.plugins.new import write_new

    if kind not in KINDS:
        raise UserError(f"unknown kind {kind!r}: {nearest(kind, list(KINDS))}")
    paths = write_new(KINDS[kind], name, Path())
    say(f"wrote {', '.join(map(str, paths))}; then: bench check {shell(paths[0])}")
