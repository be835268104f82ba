"""`bench replay`: a recorded final trained again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drnn_bench.cli.options import (
    DataOption,
    JsonOption,
    RunsOption,
    make_console,
    say,
    say_error,
)
from drnn_bench.cli.waiting import waiting
from drnn_bench.errors import Interrupted

if TYPE_CHECKING:
    from drnn_bench.training.loop import Evaluation


def replay(
    row_id: Annotated[str, typer.Argument(metavar="ROW_ID", help="A final's id in its records, or how it begins.")],
    runs_dir: RunsOption = "runs",
    data_dir: DataOption = None,
    task: Annotated[str | None, typer.Option(help="The final's task with its path, which no record has: own:path=FILE.")] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Train a recorded final again and say whether it came out the same."""
    tell = say_error if as_json else say
    print("loading", file=sys.stderr if as_json else sys.stdout, flush=True)  # torch takes seconds
    from drnn_bench.jobs.replay import find_final, read_rows, replay_final
    from drnn_bench.system.signals import Stopped, handled

    folder = Path(runs_dir)
    rows, notes = read_rows(folder)
    for note in notes:
        say_error(note)
    final = find_final(row_id, rows, folder)
    tell(
        f"replaying {final['id']}: {final['family']} ({final['architecture']}) on {final['task']}, "
        f"{final['steps']:,} steps, seed {final['seed']}"
    )
    console = make_console(aside=as_json)
    try:
        with handled() as signals, waiting(console, tell, "starting") as now:

            def progress(evaluation: Evaluation) -> None:
                now(f"evaluation {evaluation.number}: {final['metric']} {evaluation.value:.6g}")

            outcome = replay_final(
                final, rows, folder, data_dir,
                task=task, say=tell, progress=progress, tick=signals.check,
            )  # fmt: skip
    except Stopped as stopped:
        raise Interrupted(
            f"{stopped.word}: nothing was written; the same command begins again", stopped.exit_code
        ) from None
    if as_json:
        print(json.dumps(outcome.json, indent=2, allow_nan=False))
    else:
        for line in outcome.lines:
            say(line)
    raise typer.Exit(0 if outcome.same else 1)
