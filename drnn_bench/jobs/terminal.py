"""What a run says while it works: at a terminal, and in plain lines where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from drnn_bench.jobs.estimate import LONG, Estimate
from drnn_bench.jobs.progress import Progress, StudyProgress, duration, several_seeds
from drnn_bench.search.candidates import candidate_trainings
from drnn_bench.system.escape import plain, rich

if TYPE_CHECKING:
    from drnn_bench.jobs.plan import Plan
    from drnn_bench.search.trial_facts import TrialCounts
    from drnn_bench.speed.pace import Pace


class Terminal:
    """The reporter of `bench run`."""

    def __init__(self, console: Console, confirm):
        self.console, self.confirm = console, confirm
        self.progress = Progress(console)

    def plan(
        self,
        plan: Plan,
        counts: list[TrialCounts],
        paces: list[Pace | None],
        feasible: list[str],
        trainers: int,
    ) -> bool:
        table = Table(
            box=box.SIMPLE_HEAD, title=rich(f"Plan: {plan.task.key}"), title_justify="left"
        )
        seeds = several_seeds(plan.specs)
        titles = [
            "family",
            "budget",
            *["seed"] * seeds,
            "trials to do",
            "steps",
            "s/step",
            "core hours",
        ]
        for title in [*titles, *(["feasible"] if feasible else [])]:
            table.add_column(title, justify="left" if title == "family" else "right")
        estimate = Estimate(
            [(s, c.done, pace) for s, c, pace in zip(plan.specs, counts, paces, strict=True)],
            plan.trials,
            plan.seeds,
            trainers,
        )
        works = estimate.core_seconds()
        for i, (spec, count, pace) in enumerate(zip(plan.specs, counts, paces, strict=True)):
            left = max(0, plan.trials - count.done)
            todo = f"{left}" if left == plan.trials else f"{left} of {plan.trials}"
            cost = ("–", "–") if pace is None else (f"{pace.step:.3f}", f"{works[i] / 3600:.2f}")
            seed = [f"{spec.seed}"] * seeds
            cells = (spec.family, f"{spec.budget:,}", *seed, todo, f"{spec.steps:,}", *cost)
            table.add_row(*map(rich, (*cells, *feasible[i : i + 1])))
        for note in plan.notes:
            self.say(note)
        self.console.print(table)
        wall = estimate.seconds()
        left = sum(max(0, plan.trials - t.done) for t in counts)
        finals = plan.seeds * len(plan.specs)
        self.say(
            f"{left} trials and {finals} finals on {trainers} trainers ({plan.trial_device}): "
            f"about {duration(wall)}. Recipe: {plan.specs[0].make_space().recipe.words}."
        )
        if wall > LONG and (ways := estimate.shorter()):
            self.say(f"To bring it to an hour: {ways}.")
        again = candidate_trainings(plan.trials)
        if again:
            self.say(
                f"Candidates: up to {again * len(plan.specs)} trainings more, which choose the "
                "finalists."
            )
        if plan.request.warm_start:
            self.say(f"Warm start: the first {plan.request.warm_start} trials are an expert's.")
        self.progress.begin(sum(t.done for t in counts))
        return wall < LONG or self.confirm(f"Start {duration(wall)} of work?")

    def search(self, rows: list[StudyProgress]) -> None:
        self.progress.show(rows)

    def say(self, line: str) -> None:
        self.console.print(
            plain(line), highlight=False, markup=False, soft_wrap=not self.console.is_terminal
        )

    def rest(self) -> None:
        self.progress.end()
