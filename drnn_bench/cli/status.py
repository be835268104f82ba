"""`bench status`: how far the searches of a runs folder or a storage are."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from drnn_bench.cli.options import (
    JsonOption,
    RunsOption,
    StorageOption,
    make_console,
    say,
    say_error,
)
from drnn_bench.errors import UserError


def status(
    storage: StorageOption = None, runs_dir: RunsOption = "runs", as_json: JsonOption = False
) -> None:
    """How far the searches of a storage are, running or not."""
    from drnn_bench.jobs.progress import duration, failures, table
    from drnn_bench.jobs.status import Status
    from drnn_bench.jobs.status import status as read_status
    from drnn_bench.search.database import sqlite_url
    from drnn_bench.search.storage import has_tables

    if storage is None and not (Path(runs_dir) / "studies.db").exists():
        raise UserError(f"no search in {runs_dir}: name another --runs-dir, or a --storage")
    url = storage or sqlite_url(Path(runs_dir))
    searches = read_status(url) if has_tables(url) else Status()
    rows = searches.rows
    for note in searches.notes:
        say_error(note)
    if as_json:
        print(json.dumps([searches.facts(row) for row in rows], indent=2))
        return
    if not rows and searches.notes:
        raise typer.Exit(1)
    if not rows:
        raise UserError("no search was begun there: `bench run` with the same --storage begins one")
    console = make_console()
    for task in dict.fromkeys(row.spec.task for row in rows):
        of_task = [row for row in rows if row.spec.task == task]
        say(task)
        console.print(table(of_task, console.width))
        for line in failures(of_task):
            say(line)
    left, running = sum(row.left for row in rows), searches.running
    line = f"{left} trials left, {running} running"
    if left and not searches.driven:
        line += "; nobody is at work on them: the same `bench run` continues"
    elif left and running and searches.hours_left is not None:
        line += f"; {searches.trials_per_hour:,.0f} trials/h, {duration(3600 * searches.hours_left)} left"
    say(line)
