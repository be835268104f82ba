"""`bench worker` and `bench status`: searches that many processes and machines share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from drnn_bench.cli_options import (
    DataOption,
    DeviceOption,
    JsonOption,
    RunsOption,
    StorageOption,
    make_console,
    say,
    say_error,
)
from drnn_bench.errors import Interrupted, UserError


def worker(
    storage: Annotated[str, typer.Option(help="Optuna storage URL, as `bench run` has it.")],
    slots: Annotated[
        int | None, typer.Option(help="Trials at a time, one thread each; default: the cores.")
    ] = None,
    data_dir: DataOption = None,
    task: Annotated[
        str | None, typer.Option(help="The task, where only you know its path.")
    ] = None,
    device: DeviceOption = "auto",
    runs_dir: RunsOption = "runs",
) -> None:
    """Join a running search from this or another machine."""
    from drnn_bench.join import join
    from drnn_bench.plan import find_device
    from drnn_bench.progress import Progress
    from drnn_bench.provenance import cores
    from drnn_bench.writable import check_runs

    console = make_console()
    try:
        helped = join(
            storage,
            slots=cores() if slots is None else slots,
            device=find_device(device),
            data_dir=data_dir,
            runs_dir=check_runs(Path(runs_dir)),
            task=task,
            progress=Progress(console),
            say=lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True),
        )
    except KeyboardInterrupt:
        raise Interrupted("stopped: the trials that ran here are queued again") from None
    print("every study has its trials" if helped else "nothing to do: every study has its trials")


def status(
    storage: StorageOption = None, runs_dir: RunsOption = "runs", as_json: JsonOption = False
) -> None:
    """How far the searches of a storage are, running or not."""
    from drnn_bench.progress import duration, failures, table
    from drnn_bench.status import facts
    from drnn_bench.status import status as read_status
    from drnn_bench.storage import has_tables, sqlite_url

    if storage is None and not (Path(runs_dir) / "studies.db").exists():
        raise UserError(f"no search in {runs_dir}: name another --runs-dir, or a --storage")
    url = storage or sqlite_url(Path(runs_dir).resolve())
    found = read_status(url) if has_tables(url) else None
    rows = found.rows if found else []
    for note in found.notes if found else ():
        say_error(note)
    if as_json:
        print(json.dumps([facts(row) for row in rows], indent=2))
        return
    if not rows and found and found.notes:
        raise typer.Exit(1)
    if not rows:
        raise UserError("no search was begun there: `bench run` with the same --storage begins one")
    console = make_console()
    for task in dict.fromkeys(row.spec.task for row in rows):
        these = [row for row in rows if row.spec.task == task]
        say(task)
        console.print(table(these, console.width))
        for line in failures(these):
            say(line)
    left, running = sum(row.left for row in rows), sum(row.tally.running for row in rows)
    line = f"{left} trials left, {running} running"
    if left and running and found.hours_left is not None:
        line += f"; {found.trials_per_hour:,.0f} trials/h, {duration(3600 * found.hours_left)} left"
    say(line)
