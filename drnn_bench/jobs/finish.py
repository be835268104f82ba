"""What comes after a run: its board, and the published boards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from drnn_bench.board.publish import of_others, publish
from drnn_bench.errors import JobError
from drnn_bench.jobs.plan import Plan
from drnn_bench.results import records
from drnn_bench.results.ranking import build, select


def board_of(
    plan: Plan, records_path: Path, note: Callable[[str], None] = lambda line: None
) -> pd.DataFrame:
    """The ranked table of a plan's task, steps and budgets, from the rows of its runs folder.

    `note` takes a line on each row that cannot be read. Raises JobError where no study of the plan
    has a line.
    """
    rows, notes = records.read(records_path)
    for line in notes:
        note(line)
    board = build(rows)
    digests = {spec.digest for spec in plan.specs}
    if board.empty or digests.isdisjoint(board["study"]):
        raise JobError("no family has a complete trial: nothing to rank")
    same = (
        (board["task"] == plan.task.key)
        & board["steps"].isin([spec.steps for spec in plan.specs])
        & board["budget"].isin([spec.budget for spec in plan.specs])
    )
    return select(board.loc[same])


def publish_run(plan: Plan, records_path: Path, beside_others: bool) -> str:
    """Adds the task's rows to the published ones and writes its board; where rows of others stand
    there, only if `beside_others`. Returns a line on what was done.

    Raises UserError where the board cannot be written.
    """
    rows, _ = records.read(records_path)
    task = plan.task.key
    others = of_others(rows, task)
    if others and not beside_others:
        return (
            f"leaderboards/ is left as it is: {others} rows of {task} there are not from "
            f"{plan.request.runs_dir}. `bench leaderboard` shows this board; --publish adds its "
            "rows there."
        )
    path = publish(rows, task)
    return f"Written to {path} and {path.with_suffix('.csv')}"
