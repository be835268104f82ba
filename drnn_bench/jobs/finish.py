"""What comes after a run: its board, and the published board of its task.

`bench run` prints it, `drnn_bench.run` returns the board.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drnn_bench.board.publish import of_others, publish
from drnn_bench.errors import JobError
from drnn_bench.jobs.plan import Plan
from drnn_bench.results import records
from drnn_bench.results.board_line import BoardGroup
from drnn_bench.results.ranking import rank_rows


def board_of(
    plan: Plan, records_path: Path, note: Callable[[str], None] = lambda line: None
) -> list[BoardGroup]:
    """The groups of a plan's task, steps and budgets, from the rows of its runs folder.

    `note` takes a line on each row that cannot be read. Raises JobError where no study of the plan
    has a line.
    """
    rows, notes = records.read(records_path)
    for line in notes:
        note(line)
    groups = rank_rows(rows)
    planned = {spec.digest for spec in plan.specs}
    if not any(line.study in planned for group in groups for line in group.lines):
        raise JobError("no family has a complete trial: nothing to rank")
    conditions = {(plan.task.key, spec.steps, spec.budget) for spec in plan.specs}
    return [group for group in groups if (group.task, group.steps, group.budget) in conditions]


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
