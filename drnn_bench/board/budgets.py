"""Families against budgets, side by side: one table a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from drnn_bench.board.columns import COLUMNS, MISSING
from drnn_bench.system.escape import markdown, plain

if TYPE_CHECKING:
    from rich.console import Console

_SHOW = {column.title: column.show for column in COLUMNS}
_interval, _used, _ratio, _mrl = (
    _SHOW[title] for title in ("test {metric}", "parameters", "speed/lstm", "MRL")
)

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


def tables(board: pd.DataFrame, base: str, gap: str = " ") -> list[tuple[str, pd.DataFrame]]:
    """For each task and number of steps, a heading and a table: a row a family, a column a budget.

    The families stand as they rank at the largest budget. Where one has several studies at a
    budget, the best validated one stands for it. `gap` parts a cell's metric from what it cost.
    """
    out = []
    for (task, version, data, steps), part in board.groupby(
        ["task", "task_version", "data_hash", "steps"], sort=True
    ):
        metric, direction = part["metric"].iloc[0], part["direction"].iloc[0]
        # As the board ranks them at the largest budget, then those that are only at smaller ones.
        families = part.sort_values("budget", ascending=False, kind="stable")["family"].unique()
        part = part.sort_values("validation_best", ascending=direction == "min")
        budgets = sorted(part["budget"].unique())
        rows = []
        for family in families:
            row = {"family": family}
            for budget in budgets:
                found = part[(part["family"] == family) & (part["budget"] == budget)]
                row[f"{budget:,}"] = _cell(found.iloc[0].to_dict(), gap) if len(found) else MISSING
            rows.append(row)
        unit = {"accuracy": "%", "cross_entropy": "nats"}.get(metric, "bits")
        arrow = "↑" if direction == "max" else "↓"
        head = (
            f"{task}, {steps:,} steps: test {metric} {unit} {arrow} by budget "
            f"[parameters used, training speed/{base}, MRL over the spans 1 to "
            f"{part['mrl_horizon'].iloc[0]}] (version {version}, data {data})"
        )
        if part.duplicated(["family", "budget"]).any():
            head += "; of several searches of a family, the best validated"
        out.append((head, pd.DataFrame(rows)))
    return out


def _cell(line: dict[str, Any], gap: str) -> str:
    return f"{_interval(line)}{gap}[{_used(line)}, {_ratio(line)}, {_mrl(line)}]"


def to_records(board: pd.DataFrame, base: str) -> list[dict[str, Any]]:
    return [line | {"speed_base": base} for line in board[list(KEYS)].to_dict("records")]


def to_text(board: pd.DataFrame, base: str, csv: bool) -> str:
    parts = []
    for head, table in tables(board, base):
        if csv:
            parts.append(f"# {plain(head)}\n{table.to_csv(index=False, lineterminator=chr(10))}")
        else:
            text = table.map(markdown).to_markdown(index=False, disable_numparse=True)
            parts.append(f"### {markdown(head)}\n\n{text}\n")
    return "\n".join(parts)


def print_tables(console: Console, board: pd.DataFrame, base: str) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from drnn_bench.system.escape import rich

    for head, frame in tables(board, base, gap="\n"):
        table = Table(box=box.SIMPLE_HEAD, title=rich(head), title_justify="left")
        for i, name in enumerate(frame.columns):
            table.add_column(name, justify="right" if i else "left")
        for row in frame.itertuples(index=False):
            family, *cells = row  # whose lines are two
            table.add_row(rich(family), *map(Text, cells))
        console.print(table)
