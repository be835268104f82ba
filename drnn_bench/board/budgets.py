"""Families against budgets, side by side: one table a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drnn_bench.board import overall
from drnn_bench.board.caption import heading
from drnn_bench.board.cells import MISSING, number_text, result_text
from drnn_bench.board.renderings import csv_table, markdown_table
from drnn_bench.board.verdict import verdicts
from drnn_bench.results.aggregate import together
from drnn_bench.results.board_line import BoardGroup, BoardLine, as_records, place
from drnn_bench.system.escape import markdown, plain, rich

if TYPE_CHECKING:
    from rich.console import Console

KEYS = (
    "task",
    "family",
    "budget",
    "steps",
    "parameters",
    "metric",
    "direction",
    "test_mean",
    "test_low",
    "test_high",
    "n",
    "validation_best",
    "speed_ratio",
    "mrl",
    "mrl_horizon",
    "architecture",
)


@dataclass(frozen=True)
class BudgetTable:
    """A row a family, a column a budget. `rows` begin with the family's name."""

    heading: str
    titles: list[str]
    rows: list[list[str]]


def tables(groups: Sequence[BoardGroup], base: str, gap: str = " ") -> list[BudgetTable]:
    """One table for each task, version, data, protocol and number of steps.

    The families stand as they rank at the largest budget. Where one has several studies at a
    budget, the best validated one stands for it. `gap` parts a cell's metric from what it cost.
    """
    tasks: dict[tuple, list[BoardGroup]] = {}
    for group in groups:
        tasks.setdefault((*place(group.key)[:4], group.steps), []).append(group)
    return [_table(tasks[key], base, gap) for key in sorted(tasks)]


def _table(groups: list[BoardGroup], base: str, gap: str) -> BudgetTable:
    """The table of one task; `groups` are its budgets."""
    groups = sorted(groups, key=lambda group: group.budget)
    # As the board ranks them at the largest budget, then those that are only at smaller ones.
    families = dict.fromkeys(line.family for group in reversed(groups) for line in group.lines)
    rows = []
    for family in families:
        lines = [_best_validated(group, family) for group in groups]
        cells = (MISSING if line is None else _cell(line, gap) for line in lines)
        rows.append([family, *cells])
    titles = ["family", *(f"{group.budget:,}" for group in groups)]
    return BudgetTable(_heading(groups, base), titles, rows)


def _heading(groups: list[BoardGroup], base: str) -> str:
    first = groups[0].first
    unit = first.shown_as.unit
    arrow = "↑" if first.direction == "max" else "↓"
    heading = (
        f"{first.task}, {first.steps:,} steps: test {unit} {arrow} by budget "
        f"[parameters used, training speed/{base}, MRL over the spans 1 to "
        f"{first.mrl_horizon}] (version {first.task_version}, data {first.data_hash}"
        f"{f', protocol {first.protocol}' if first.protocol > 1 else ''})"
    )
    if any(len({x.family for x in group.lines}) < len(group.lines) for group in groups):
        heading += "; of several searches of a family, the best validated"
    return heading


def _best_validated(group: BoardGroup, family: str) -> BoardLine | None:
    lines = [line for line in group.lines if line.family == family]
    best = max if group.direction == "max" else min
    return best(lines, key=lambda line: line.validation_best, default=None)


def _cell(line: BoardLine, gap: str) -> str:
    speed, mrl = number_text(line.speed_ratio, 2, "x"), number_text(line.mrl, 1)
    return f"{result_text(line)}{gap}[{line.parameters:,}, {speed}, {mrl}]"


def to_records(groups: Sequence[BoardGroup], base: str) -> list[dict[str, Any]]:
    """Every line as JSON values, with what the tables show of it."""
    records, aggregates = as_records(groups), overall.by_family(groups)
    nothing = dict.fromkeys(("iqm", "iqm_low", "iqm_high"))
    return [
        {key: record[key] for key in KEYS}
        | {"speed_base": base, "protocol": record.get("protocol", 1)}
        | aggregates.get((record.get("protocol", 1), record["family"]), nothing)
        for record in records
    ]


def _over_all(groups: Sequence[BoardGroup]) -> list[BudgetTable]:
    return [
        BudgetTable(overall.heading(x), list(overall.TITLES), overall.rows(x))
        for x in together(groups)
    ]


def to_text(groups: Sequence[BoardGroup], base: str, csv: bool) -> str:
    """The tables as CSV, or as Markdown."""
    parts = []
    for table in [*tables(groups, base), *_over_all(groups)]:
        if not table.rows:
            parts.append(f"{plain(table.heading) if csv else markdown(table.heading)}\n")
        elif csv:
            parts.append(f"# {plain(table.heading)}\n{csv_table(table.titles, table.rows)}")
        else:
            text = markdown_table(table.titles, table.rows, [False] * len(table.titles))
            parts.append(f"### {markdown(table.heading)}\n\n{text}\n")
    return "\n".join(parts)


def print_tables(console: Console, groups: Sequence[BoardGroup], base: str) -> None:
    """The tables, and below them what each board says."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from drnn_bench.board.terminal import verdict_text

    for table in [*tables(groups, base, gap="\n"), *_over_all(groups)]:
        if not table.rows:
            console.print(rich(table.heading, "dim"))
            continue
        shown = Table(box=box.SIMPLE_HEAD, title=rich(table.heading), title_justify="left")
        for i, title in enumerate(table.titles):
            shown.add_column(title, justify="right" if i else "left")
        for family, *cells in table.rows:  # a cell has two lines
            shown.add_row(rich(family), *map(Text, cells))
        console.print(shown)
    for group, verdict in zip(groups, verdicts(groups), strict=True):
        console.print(rich(heading(group), "dim"))
        console.print(verdict_text(verdict))
