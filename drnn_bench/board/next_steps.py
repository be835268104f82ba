"""What to do after a board has been read: commands that run as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from drnn_bench.board.reproduce import bench_words, commands, own_space
from drnn_bench.board.standing import Standing
from drnn_bench.models.weights import FOLDER as WEIGHTS
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.system.escape import file_name, shell

DEFAULT_RUNS = "runs"


def next_steps(one: Standing, groups: Sequence[BoardGroup], runs_dir: str | None) -> list[str]:
    """Commands for a board of a runs folder; none without one. `groups` are all of the folder's.

    A family to take is exported, and shown in a report. Where there is none, the finals that are
    missing are trained, or all is trained for twice as many steps.
    """
    if runs_dir is None:
        return []
    where = [] if runs_dir == DEFAULT_RUNS else ["--runs-dir", runs_dir]
    group = one.group
    report = shell(*bench_words(group.first), "report", "--task", group.task, *where)
    if one.take is not None:
        return [*_export(one.take, group, groups, runs_dir, where), report]
    owed = [line for line in group.lines if not line.n and not line.diverged_finals]
    lines = owed or [replace(line, steps=2 * line.steps) for line in group.lines]
    again = commands([line for line in lines if not own_space(line)])
    return [*(f"{command} {shell(*where)}".strip() for command in again), report]


def _export(
    take: BoardLine,
    group: BoardGroup,
    groups: Sequence[BoardGroup],
    runs_dir: str,
    where: list[str],
) -> list[str]:
    """The command that exports a line; none where the folder keeps no weights, or where `export`
    could mean another version's board."""
    chosen = (group.task, group.budget, group.steps)
    twins = [x for x in groups if (x.task, x.budget, x.steps) == chosen]
    if len(twins) > 1 or not (Path(runs_dir) / WEIGHTS).is_dir():
        return []
    row = group.lines.index(take) + 1
    words = [
        *bench_words(take), "export", "--task", group.task, "--budget", group.budget,
        "--steps", group.steps, *(["--rank", row] if row > 1 else []), *where,
        "--output", f"{file_name(take.family)}-{group.budget}",
    ]  # fmt: skip
    return [shell(*words)]
