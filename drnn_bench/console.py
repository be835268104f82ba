"""What a run looks like in the terminal; plain lines where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drnn_bench import columns
from drnn_bench.progress import Progress, Standing, duration

if TYPE_CHECKING:
    import pandas as pd

    from drnn_bench.plan import Plan
    from drnn_bench.studies import Tally

Row = dict[str, Any]

ASK_ABOVE = 3600.0  # seconds of expected work above which a run at a terminal asks first
PRUNED_SHARE = 0.7  # share of the full steps that a trial is expected to run, pruned ones included


class Terminal:
    """The reporter of `bench run`."""

    def __init__(self, console: Console, confirm):
        self.console, self.confirm = console, confirm
        self.progress = Progress(console)

    def plan(
        self, plan: Plan, tallies: list[Tally], seconds: list[float | None], feasible: list[str]
    ) -> bool:
        table = Table(box=box.SIMPLE_HEAD, title=f"Plan: {plan.task.key}", title_justify="left")
        titles = ["family", "budget", "trials to do", "steps", "s/step", "core hours"]
        for title in [*titles, *(["feasible"] if feasible else [])]:
            table.add_column(title, justify="left" if title == "family" else "right")
        total = 0.0
        for i, (spec, count, pace) in enumerate(zip(plan.specs, tallies, seconds, strict=True)):
            left = max(0, plan.trials - count.done)
            share = 1.0 if spec.pruner == "none" else PRUNED_SHARE
            work = (left * share + plan.seeds) * spec.steps * (pace or 0.0)
            total += work
            todo = f"{left}" if left == plan.trials else f"{left} of {plan.trials}"
            cost = ("–", "–") if pace is None else (f"{pace:.3f}", f"{work / 3600:.2f}")
            cells = (spec.family, f"{spec.budget:,}", todo, f"{spec.steps:,}", *cost)
            table.add_row(*cells, *feasible[i : i + 1])
        for note in plan.notes:
            self.say(note)
        self.console.print(table)
        wall = total / plan.workers
        left = sum(max(0, plan.trials - t.done) for t in tallies)
        finals = plan.seeds * len(plan.specs)
        self.say(
            f"{left} trials and {finals} finals on {plan.workers} workers ({plan.device}): "
            f"about {duration(wall)}. Recipe: {plan.specs[0].make_space().recipe.words}."
        )
        if plan.request.warm_start:
            self.say(f"Warm start: the first {plan.request.warm_start} trials are an expert's.")
        self.progress.begin(sum(t.done for t in tallies))
        return wall < ASK_ABOVE or self.confirm(f"Start {duration(wall)} of work?")

    def search(self, rows: list[Standing]) -> None:
        self.progress.show(rows)

    def say(self, line: str) -> None:
        self.console.print(
            line, highlight=False, markup=False, soft_wrap=not self.console.is_terminal
        )

    def rest(self) -> None:
        self.progress.end()


def print_board(console: Console, board: pd.DataFrame) -> None:
    """Every group of a board, as wide as the terminal allows; what was left out is said."""
    for lines in columns.groups(board):
        text = _marked(columns.as_text(lines), lines)
        shown = _fitting(text, console.width)
        table = Table(box=box.SIMPLE_HEAD, title=Text(columns.heading(lines)), title_justify="left")
        for i in shown:
            justify = "right" if text.columns[i].right else "left"
            table.add_column(text.titles[i], justify=justify, overflow="fold")
        best = {i: _best(text.columns[i].better, lines) for i in shown}
        for line, cells in zip(lines, text.cells, strict=True):
            row = (Text(cells[i], style="bold" if line in best[i] else "") for i in shown)
            table.add_row(*row, style="bold" if line["rank_low"] == 1 else "")
        console.print(table)
        said = f"Bold rows may be the best; = marks a tie. {columns.caption(lines)}"
        console.print(Text(said, style="dim"))
        missing = [title for i, title in enumerate(text.titles) if i not in shown]
        if missing:
            console.print(
                Text(
                    f"Not shown at this width: {', '.join(missing)} (--format markdown has all).",
                    style="dim",
                )
            )


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
