"""Who is told how a job goes: a terminal, or nobody."""

from __future__ import annotations

from typing import Protocol

from drnn_bench.plan import Plan
from drnn_bench.progress import Standing
from drnn_bench.studies import Tally


class Reporter(Protocol):
    """Who is told how the job goes."""

    def plan(
        self, plan: Plan, tallies: list[Tally], seconds: list[float | None], feasible: list[str]
    ) -> bool:
        """Shows the plan; False: do not start. Seconds are of one training step, per study;
        `feasible` says how many architectures are, nothing outside a dry run."""

    def search(self, rows: list[Standing]) -> None:
        """Shows how far the search is."""

    def say(self, line: str) -> None:
        """One line about what happens."""

    def rest(self) -> None:
        """Whatever is drawn live ends here."""


class Silent:
    """Tells nobody."""

    def plan(
        self, plan: Plan, tallies: list[Tally], seconds: list[float | None], feasible: list[str]
    ) -> bool:
        return True

    def search(self, rows: list[Standing]) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def rest(self) -> None:
        pass
