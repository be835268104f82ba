"""`bench ls`: what there is."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

ls = typer.Typer(help="What there is: tasks, families, and how your data is understood.")


@ls.command("tasks")
def ls_tasks(as_json: JsonOption = False) -> None:
    """The tasks, with their default budgets and steps."""
    from drnn_bench.tasks import TASKS, parse_task

    rows = []
    for name in TASKS:
        task = parse_task(name)
        rows.append(
            {
                "task": task.key,
                "steps in sequence": task.length,
                "metric": task.metric,
                "budget": task.default_budget,
                "steps": task.default_steps,
                "trials": task.default_trials,
                "what": task.summary,
            }
        )
    _print_rows(rows, as_json)


@ls.command("data")
def ls_data(
    path: Annotated[str, typer.Argument(help="A file or folder of sequences.")],
    options: Annotated[
        list[str] | None, typer.Argument(help="As of --task own: target=COL length=N rate=HZ.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How `--task own` would understand your data."""
    from drnn_bench.tasks import make_task
    from drnn_bench.tasks.own import understood

    task, arrays, notes = make_task("own", [f"path={path}", *(options or [])]).read(None)
    if as_json:
        print(json.dumps(understood(task, arrays), indent=2))
        return
    for note in notes:
        print(note)


@ls.command("families")
def ls_families(as_json: JsonOption = False) -> None:
    """The families and what each searches."""
    from drnn_bench.models import FAMILIES
    from drnn_bench.search_space import default_path, read_space

    rows = [
        {
            "family": name,
            "searched": ", ".join(entry.name for entry in read_space(default_path(name)).entries),
            "what": what,
        }
        for name, (_, _, what) in FAMILIES.items()
    ]
    _print_rows(rows, as_json)


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for key, value in rows[0].items():
        table.add_column(key, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 250).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)
