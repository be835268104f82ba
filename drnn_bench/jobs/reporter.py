"""Who is told how a job goes: a terminal, or nobody."""

from __future__ import annotations

from typing import Protocol

from drnn_bench.jobs.plan import Plan
from drnn_bench.jobs.progress import StudyProgress
from drnn_bench.search.trial_facts import TrialCounts


class Reporter(Protocol):
    """Who is told how the job goes."""

    def plan(
        self,
        plan: Plan,
        counts: list[TrialCounts],
        seconds: list[float | None],
        feasible: list[str],
        trainers: int,
    ) -> bool:
        """Shows the plan; False: do not start. Seconds are of one training step, per study;
        `feasible` says how many architectures are, nothing outside a dry run. `trainers` work
        side by side."""
        ...

    def search(self, rows: list[StudyProgress]) -> None:
        """Shows how far the search is."""

    def say(self, line: str) -> None:
        """One line about what happens."""

    def rest(self) -> None:
        """Whatever is drawn live ends here."""


class Silent:
    """Tells nobody."""

    def plan(
        self,
        plan: Plan,
        counts: list[TrialCounts],
        seconds: list[float | None],
        feasible: list[str],
        trainers: int,
    ) -> bool:
        return True

    def search(self, rows: list[StudyProgress]) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def rest(self) -> None:
        pass
