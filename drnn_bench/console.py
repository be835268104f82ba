"""What a run looks like in the terminal; plain lines where there is none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from drnn_bench import columns

if TYPE_CHECKING:
    import pandas as pd
    from optuna.trial import FrozenTrial

    from drnn_bench.plan import Plan
    from drnn_bench.studies import StudySpec, Tally

ASK_ABOVE = 3600.0  # seconds of expected work above which a run at a terminal asks first
PRUNED_SHARE = 0.7  # share of the full steps that a trial is expected to run, pruned ones included


class Terminal:
    """The reporter of `bench run`."""

    def __init__(self, console: Console, confirm):
        self.console, self.confirm = console, confirm
        self._live: Live | None = None
        self._began, self._done_before = time.monotonic(), 0
        self._line, self._line_at = "", 0.0

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
        self._began = time.monotonic()
        self._done_before = sum(t.done for t in tallies)
        return wall < ASK_ABOVE or self.confirm(f"Start {duration(wall)} of work?")

    def search(self, rows: list[tuple[StudySpec, Tally, FrozenTrial | None]], plan: Plan) -> None:
        done = sum(count.done for _, count, _ in rows)
        fresh, elapsed = done - self._done_before, time.monotonic() - self._began
        pace = fresh / elapsed if elapsed > 0 else 0.0
        left = sum(max(0, plan.trials - count.done) for _, count, _ in rows)
        eta = f"{3600 * pace:,.0f} trials/h, {duration(left / pace)} left" if pace else ""
        if not self.console.is_terminal:
            line = "; ".join(_words(*row, plan) for row in rows)
            if line != self._line and (time.monotonic() - self._line_at > 5 or not left):
                self.say(f"search {done}/{len(rows) * plan.trials}: {line}; {eta}")
                self._line, self._line_at = line, time.monotonic()
            return
        table = Table(box=box.SIMPLE_HEAD)
        for title in ("family", "budget", "done", "pruned", "failed", "best"):
            table.add_column(title, justify="left" if title == "family" else "right", no_wrap=True)
        rest = max(12, self.console.width - 64)  # what the other columns leave
        table.add_column("architecture", no_wrap=True, overflow="ellipsis", max_width=rest)
        for spec, count, best in rows:
            table.add_row(
                spec.family,
                f"{spec.budget:,}",
                f"{count.done}/{plan.trials}",
                f"{count.pruned}",
                f"{count.failed}",
                f"{best.value:.4f}" if best else "–",
                best.user_attrs["architecture"] if best else "",
            )
        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=4, transient=False)
            self._live.start()
        self._live.update(Group(table, Text(eta, style="dim")))

    def say(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=not self.console.is_terminal)

    def rest(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _words(spec: StudySpec, count: Tally, best: FrozenTrial | None, plan: Plan) -> str:
    text = f"{spec.family}@{spec.budget} {count.done}/{plan.trials}"
    notes = [f"{getattr(count, k)} {k}" for k in ("pruned", "failed") if getattr(count, k)]
    notes += [f"best {best.value:.4f}"] if best else []
    return f"{text} ({', '.join(notes)})" if notes else text


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def print_board(console: Console, board: pd.DataFrame) -> None:
    """Every group of a board, as wide as the terminal allows; what was left out is said."""
    for lines in columns.groups(board):
        text = columns.as_text(lines)
        shown = _fitting(text, console.width)
        table = Table(box=box.SIMPLE_HEAD, title=columns.heading(lines), title_justify="left")
        for i in shown:
            justify = "right" if text.columns[i].right else "left"
            table.add_column(text.titles[i], justify=justify, overflow="fold")
        for line, cells in zip(lines, text.cells, strict=True):
            bold = "bold" if line["rank_low"] == 1 else ""
            table.add_row(*(cells[i] for i in shown), style=bold)
        console.print(table)
        console.print(columns.caption(lines), style="dim", highlight=False)
        missing = [title for i, title in enumerate(text.titles) if i not in shown]
        if missing:
            console.print(
                f"Not shown at this width: {', '.join(missing)} (--format markdown has all).",
                style="dim",
                highlight=False,
            )


def _fitting(text: columns.TableText, width: int) -> list[int]:
    """The columns that fit, in their order, the most important chosen first."""

    def takes(shown: list[int]) -> int:  # each column has a space on both sides
        rows = [text.titles, *text.cells]
        return sum(max(len(row[i]) for row in rows) + 2 for i in shown)

    shown: list[int] = []
    for i in sorted(range(len(text.titles)), key=lambda i: text.columns[i].rank):
        if text.columns[i].rank == 0 or takes([*shown, i]) <= width:
            shown.append(i)
    return sorted(shown)
