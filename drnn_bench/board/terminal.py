"""A board in the terminal, as wide as that allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from drnn_bench.board import columns
from drnn_bench.system.escape import rich

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def print_board(console: Console, board: pd.DataFrame) -> None:
    """Every group of a board, as wide as the terminal allows; what was left out is said."""
    for lines in columns.groups(board):
        text = _marked(columns.as_text(lines), lines)
        shown = _fitting(text, console.width)
        table = Table(box=box.SIMPLE_HEAD, title=rich(columns.heading(lines)), title_justify="left")
        for i in shown:
            justify = "right" if text.columns[i].right else "left"
            table.add_column(rich(text.titles[i]), justify=justify, overflow="fold")
        best = {i: _best(text.columns[i].better, lines) for i in shown}
        for line, cells in zip(lines, text.cells, strict=True):
            row = (rich(cells[i], "bold" if line in best[i] else "") for i in shown)
            table.add_row(*row, style="bold" if line["rank_low"] == 1 else "")
        console.print(table)
        said = f"Bold rows may be the best; = marks a tie. {columns.caption(lines)}"
        console.print(rich(said, "dim"))
        missing = [title for i, title in enumerate(text.titles) if i not in shown]
        if missing:
            hidden = f"Not shown at this width: {', '.join(missing)} (--format markdown has all)."
            console.print(rich(hidden, "dim"))


def _marked(text: columns.TableText, lines: list[Row]) -> columns.TableText:
    """With an arrow on every column that has a better end, and = before a rank that is shared."""
    titles = [
        f"{title} ↑" if column.better else title
        for column, title in zip(text.columns, text.titles, strict=True)
    ]
    cells = [
        [f"={rank}" if line["rank_low"] != line["rank_high"] else rank, *rest]
        for line, (rank, *rest) in zip(lines, text.cells, strict=True)
    ]
    return columns.TableText(text.columns, titles, cells)


def _best(key: str | None, lines: list[Row]) -> list[Row]:
    """The lines with a column's largest value, where it has a better end."""
    values = [line[key] for line in lines if key and line[key] is not None]
    return [line for line in lines if values and line[key] == max(values)]


def _fitting(text: columns.TableText, width: int) -> list[int]:
    """The columns that fit, in their order, the most important chosen first."""

    def takes(shown: list[int]) -> int:  # each column has a space on both sides, and one between
        rows = [text.titles, *text.cells]
        return 1 + sum(max(len(row[i]) for row in rows) + 3 for i in shown)

    shown: list[int] = []
    for i in sorted(range(len(text.titles)), key=lambda i: text.columns[i].rank):
        if text.columns[i].rank == 0 or takes([*shown, i]) <= width:
            shown.append(i)
    return sorted(shown)
