"""How a run shows what it does: the interface, and a reporter that shows nothing."""

from __future__ import annotations

from typing import Protocol

from drnn_bench.jobs.plan import Plan
from drnn_bench.jobs.progress import StudyProgress
from drnn_bench.search.trial_facts import TrialCounts


class Reporter(Protocol):
    """Shows how a run goes."""

    def plan(
        self,
        plan: Plan,
        counts: list[TrialCounts],
        seconds: list[float | None],
        feasible: list[str],
        trainers: int,
    ) -> bool:
        """Shows the plan. Returns whether the run may start.

        For each study: how far it is, the seconds of a training step (None where unknown), and in
        a dry run how many of its architectures are feasible. `trainers` work side by side."""
        ...

    def search(self, rows: list[StudyProgress]) -> None:
        """Shows how far the search is."""

    def say(self, line: str) -> None:
        """One line about what happens."""

    def rest(self) -> None:
        """Ends the live display."""


class Silent:
    """Shows nothing."""

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
