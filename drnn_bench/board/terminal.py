"""A board in the terminal, as wide as that allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drnn_bench.board.caption import caption, heading
from drnn_bench.board.columns import Column, TableText, as_text
from drnn_bench.board.verdict import Key, Verdict
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.system.escape import rich


def print_board(
    console: Console, groups: Sequence[BoardGroup], verdicts: Mapping[Key, Verdict] | None = None
) -> None:
    """Every group's table with the columns that fit, the names of those that do not, and its
    verdict, which stands last and so nearest to the prompt."""
    for group in groups:
        text = _marked(as_text(group), group)
        shown = _fitting(text, console.width)
        table = Table(box=box.SIMPLE_HEAD, title=rich(heading(group)), title_justify="left")
        for i in shown:
            justify = "right" if text.columns[i].right else "left"
            table.add_column(rich(text.titles[i]), justify=justify, overflow="fold")
        best = {i: _best(text.columns[i], group) for i in shown}
        for line, cells in zip(group.lines, text.cells, strict=True):
            row = (rich(cells[i], "bold" if line in best[i] else "") for i in shown)
            table.add_row(*row, style="bold" if line.rank_low == 1 else "")
        console.print(table)
        words = f"Bold rows may be the best; = marks a shared rank. {caption(group)}"
        console.print(rich(words, "dim"))
        missing = [title for i, title in enumerate(text.titles) if i not in shown]
        if missing:
            hidden = f"Not shown at this width: {', '.join(missing)} (--format markdown has all)."
            console.print(rich(hidden, "dim"))
        if verdicts is not None:
            console.print()
            print_verdict(console, verdicts[group.key])
            console.print()


def print_verdict(console: Console, verdict: Verdict) -> None:
    """The sentences, and below them the commands to go on with, each on an unbroken line."""
    console.print(verdict_text(verdict))
    if verdict.next:
        console.print(rich("Next:", "bold"))
    for command in verdict.next:
        console.print(rich(f"  {command}"), soft_wrap=True)


def verdict_text(verdict: Verdict) -> Text:
    return Text.assemble(rich(verdict.headline, "bold"), rich(verdict.details))


def _marked(text: TableText, group: BoardGroup) -> TableText:
    """With an arrow on every column that has a better end, and = before a rank that is shared."""
    titles = [
        f"{title} ↑" if column.better else title
        for column, title in zip(text.columns, text.titles, strict=True)
    ]
    cells = [
        [f"={rank}" if line.rank_low != line.rank_high else rank, *rest]
        for line, (rank, *rest) in zip(group.lines, text.cells, strict=True)
    ]
    return TableText(text.columns, titles, cells)


def _best(column: Column, group: BoardGroup) -> list[BoardLine]:
    """The lines with a column's largest value, where it has a better end."""
    if column.better is None:
        return []
    values = {line.study: column.better(line) for line in group.lines}
    best = max((value for value in values.values() if value is not None), default=None)
    return [line for line in group.lines if best is not None and values[line.study] == best]


def _fitting(text: TableText, width: int) -> list[int]:
    """The columns that fit, in their order, the most important chosen first."""

    def width_of(shown: list[int]) -> int:  # a space on both sides of a column, one between two
        rows = [text.titles, *text.cells]
        return 1 + sum(max(len(row[i]) for row in rows) + 3 for i in shown)

    shown: list[int] = []
    for i in sorted(range(len(text.titles)), key=lambda i: text.columns[i].priority):
        if text.columns[i].priority == 0 or width_of([*shown, i]) <= width:
            shown.append(i)
    return sorted(shown)
