"""A board in the terminal, as wide as that allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from drnn_bench.board.caption import caption, heading, short_caption
from drnn_bench.board.columns import ARCHITECTURE, Column, TableText, as_text
from drnn_bench.board.verdict import Key, Verdict
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.system.escape import plain, rich

GAP = 2  # spaces that a column has beside its text


def print_board(
    console: Console,
    groups: Sequence[BoardGroup],
    verdicts: Mapping[Key, Verdict] | None = None,
    explain: bool = False,
) -> None:
    """Every group's table with the columns that fit, its caption, and its verdict, which stands
    last and so nearest to the prompt. `explain`: the caption says all."""
    for group in groups:
        text = _marked(as_text(group), group)
        shown = _fitting(text, console.width)
        console.print(rich(heading(group), "italic"))
        console.print()
        _print_table(console, text, shown, group)
        console.print()
        _print_caption(console, group, explain, hidden=len(text.columns) - 1 - len(shown))
        console.print()
        if verdicts is not None:
            print_verdict(console, verdicts[group.key])
            console.print()


def _print_table(
    console: Console, text: TableText, shown: Sequence[int], group: BoardGroup
) -> None:
    """A row a line, and below it the architecture, which would be the widest column."""
    rows = [text.titles, *text.cells]
    widths = {i: max(cell_len(plain(row[i])) for row in rows) for i in shown}
    best = {i: _best(text.columns[i], group) for i in shown}

    def print_row(cells: Sequence[str], style: str, bold: Sequence[int]) -> None:
        row = Text(" ")
        for i in shown:
            cell = rich(cells[i], "bold" if i in bold else style)
            cell.align("right" if text.columns[i].right else "left", widths[i])
            row.append(" ").append_text(cell).append(" ")
        row.rstrip()
        console.print(row, overflow="fold")

    print_row(text.titles, "bold", [])
    console.print(rich(" " + "─" * (sum(widths.values()) + GAP * len(shown) - 1)))
    for line, cells in zip(group.lines, text.cells, strict=True):
        bold = [i for i in shown if line in best[i]]
        print_row(cells, "bold" if line.rank_low == 1 else "", bold)
        console.print(Padding(rich(line.architecture, "dim"), (0, 0, 0, 6), expand=False))


def _print_caption(console: Console, group: BoardGroup, explain: bool, hidden: int) -> None:
    sentences = [caption(group)] if explain else short_caption(group)
    more = [] if explain else ["bench leaderboard --explain says how"]
    more += [f"--format markdown has {hidden} more columns"] if hidden else []
    for sentence in [*sentences, "; ".join(more)]:
        if sentence:
            console.print(rich(sentence, "dim"))


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
    """The columns that fit, in their order, the most important chosen first; without the
    architecture."""

    def width_of(shown: list[int]) -> int:
        rows = [text.titles, *text.cells]
        return sum(max(cell_len(plain(row[i])) for row in rows) + GAP for i in shown)

    shown: list[int] = []
    known = [i for i, column in enumerate(text.columns) if column.title != ARCHITECTURE]
    for i in sorted(known, key=lambda i: text.columns[i].priority):
        if text.columns[i].priority == 0 or width_of([*shown, i]) <= width:
            shown.append(i)
    return sorted(shown)
