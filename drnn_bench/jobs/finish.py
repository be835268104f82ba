"""What follows a run: the board of what was run, and the published board of its task.

`bench run` prints what these give, `drnn_bench.run` returns it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnn_bench.board.publish import of_others, publish
from drnn_bench.errors import JobError
from drnn_bench.jobs.plan import Plan
from drnn_bench.results import records
from drnn_bench.results.board_line import BoardGroup
from drnn_bench.results.ranking import rank_rows


@dataclass(frozen=True)
class RunBoard:
    """The groups that a run belongs to, all rows of its runs folder, and a line on each row that
    cannot be read."""

    groups: list[BoardGroup]
    rows: list[dict[str, Any]]
    notes: list[str]


def run_board(plan: Plan) -> RunBoard:
    """The board of a plan that has run: the groups of its task, steps and budgets.

    Raises JobError where none of the plan's searches has a complete trial.
    """
    rows, notes = records.read(Path(plan.request.runs_dir) / "records.jsonl")
    groups = rank_rows(rows)
    planned = {spec.identity for spec in plan.specs}
    if not any(line.study in planned for group in groups for line in group.lines):
        raise JobError("no family has a complete trial: nothing to rank")
    conditions = {(spec.steps, spec.budget) for spec in plan.specs}
    groups = [x for x in groups if x.task == plan.task.key and (x.steps, x.budget) in conditions]
    return RunBoard(groups, rows, notes)


@dataclass(frozen=True)
class Published:
    """The board that was written, its Markdown file; or None and how many published rows of the
    task are not this runs folder's."""

    path: Path | None
    others: int = 0


def publish_board(plan: Plan, board: RunBoard, *, force: bool) -> Published:
    """Adds a run's rows to the published board of its task. A board that holds rows of others is
    left as it is, unless `force`. Raises UserError where it cannot be written."""
    others = of_others(board.rows, plan.task.key)
    if others and not force:
        return Published(None, others)
    return Published(publish(board.rows, plan.task.key))
