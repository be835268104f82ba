"""Options that several commands share, and the console they print to."""

from __future__ import annotations

import os
import re
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from drnn_bench.errors import UserError
from drnn_bench.system.escape import plain

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


TaskOption = Annotated[str | None, typer.Option(help="A task, with options: copy_memory:T=1000.")]
BudgetOption = Annotated[str | None, typer.Option(help="Parameters: 5000, 5k, 1.2M.")]
RunsOption = Annotated[str, typer.Option(help="Folder of this machine's results.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DataOption = Annotated[str | None, typer.Option(help="Where the data is; without it, the hub.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
StorageOption = Annotated[
    str | None, typer.Option(help="Optuna storage URL; default: SQLite in the runs folder.")
]


def make_console(aside: bool = False) -> Console:
    """Standard output, or `aside` standard error, where standard output holds JSON alone. Where it
    is no terminal, tables are as wide as COLUMNS says, or 100."""
    from rich.console import Console

    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) > 0 else 100
    width = None if (sys.stderr if aside else sys.stdout).isatty() else width
    # Without markup: `[red]` in a name is a name.
    return Console(stderr=aside, width=width, markup=False, emoji=False)


def say(line: str) -> None:
    """One line on standard output, at once, whatever names it holds."""
    print(plain(line), flush=True)


def say_error(line: str) -> None:
    print(f"bench: {plain(line)}", file=sys.stderr)


def parse_budget(text: str) -> int:
    """5000, 5k or 1.2M -> parameters."""
    from drnn_bench.models.architecture import at_least

    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text.strip())
    if not match:
        raise UserError(f"budget {text!r} is no number of parameters: 5000, 5k or 1.2M")
    value = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()]
    if value < 1 or value != round(value, 6) or round(value, 6) % 1:
        raise UserError(f"budget {text!r} is no whole number of parameters above 0")
    at_least("budget", round(value), 1)
    return round(value)
