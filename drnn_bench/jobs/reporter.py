"""How a run shows what it does: the interface, and a reporter that shows nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from drnn_bench.jobs.plan import Plan
from drnn_bench.jobs.progress import StudyProgress
from drnn_bench.search.trial_facts import TrialCounts

if TYPE_CHECKING:
    from drnn_bench.speed.pace import Pace


class Reporter(Protocol):
    """Shows how a run goes."""

    def plan(
        self,
        plan: Plan,
        counts: list[TrialCounts],
        paces: list[Pace | None],
        feasible: list[str],
        trainers: int,
    ) -> bool:
        """Shows the plan. Returns whether the run may start.

        For each study: how far it is, its pace (None where unknown), and in a dry run how many of
        its architectures are feasible. `trainers` work side by side."""
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
        paces: list[Pace | None],
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
