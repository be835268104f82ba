"""Executors without processes: they run jobs in this one. For tests that look inside a search, and
for those that processes are no matter of: each trainer would import torch."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from kills import undisturbed

from drnn_bench.execution.job import (
    Event,
    Job,
    Lost,
    Yielded,
)
from drnn_bench.execution.trainer import Trainer
from drnn_bench.jobs.plan import Plan


class InlineExecutor:
    """`size` trainers in this process. `change` may give another job in a job's place. A job that
    raises Vanish has lost its trainer."""

    def __init__(
        self, size: int = 1, shared: Any = None, change: Callable[[Job], Job] = lambda j: j
    ):
        self.size, self.shared, self.change = size, shared, change
        self._tickets, self._at = itertools.count(1), {}
        self._answers: deque[tuple[int, Event]] = deque()

    @property
    def free(self) -> int:
        return self.size - len(self._at)

    def start(self, job: Job) -> int:
        assert self.free
        ticket = next(self._tickets)
        self._at[ticket] = Trainer(self.shared)
        self._at[ticket].start(self.change(job))
        self.advance(ticket)
        return ticket

    def advance(self, ticket: int) -> None:
        event = self._at[ticket].advance()
        if getattr(event, "reason", "").startswith("Vanish"):
            event = Lost("killed by SIGKILL")
        self._answers.append((ticket, event))

    def drop(self, ticket: int) -> None:
        self._at.pop(ticket).drop()

    def end(self, ticket: int, reason: str) -> None:
        self._answers = deque(answer for answer in self._answers if answer[0] != ticket)
        self._answers.append((ticket, Lost(reason)))

    def wait(self, seconds: float) -> list[tuple[int, Event]]:
        if not self._answers:
            return []
        ticket, event = self._answers.popleft()
        if not isinstance(event, Yielded):
            del self._at[ticket]
        return [(ticket, event)]

    def close(self) -> None:
        self._at.clear()
        self._answers.clear()


class InPlaceOfLocal(InlineExecutor):
    """An executor for whoever asks for a LocalExecutor."""

    pids: list[int] = []  # noqa: RUF012

    def __init__(self, size: int, log: Path, shared: Any = None, modules: Sequence[str] = ()):
        super().__init__(size, shared)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log, self._random = log, {}

    def advance(self, ticket: int) -> None:
        """Each trainer has its own output and its own random numbers, as a process has."""
        outside = torch.get_rng_state()
        torch.set_rng_state(self._random.get(ticket, outside))
        with (
            self._log.open("a") as log,
            contextlib.redirect_stdout(log), contextlib.redirect_stderr(log),
        ):  # fmt: skip
            super().advance(ticket)
        self._random[ticket] = torch.get_rng_state()
        torch.set_rng_state(outside)


def without_processes(patch: pytest.MonkeyPatch) -> None:
    """Runs and replays of this process train in it."""
    for room in ("job", "replay"):
        patch.setattr(f"drnn_bench.jobs.{room}.LocalExecutor", InPlaceOfLocal)


def left_in_peace(folder: Path, **request: Any) -> Plan:
    """A search and its finals, undisturbed, in this process: what others are held to."""
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch)
        return undisturbed(folder, **request)


class Vanish(BaseException):
    pass
