"""Trainers as processes of this machine, with one thread each.

A trainer is a fresh Python that finds its number of threads in its environment (see
`system.environment`).
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from drnn_bench.errors import JobError
from drnn_bench.execution.job import (
    Event,
    Job,
    Lost,
    Yielded,
)
from drnn_bench.system.environment import one_thread

STILLBORN = 3  # trainers that died in a row before they were ready


class _Process:
    """The driver's end of one trainer process."""

    def __init__(self, log: Path, modules: Sequence[str], shared: Any):
        self.ticket: int | None = None
        self.reason: str | None = None  # why it was ended
        self.shared, self.ready = shared, False
        self.before: list[tuple] = []  # requests made before it was ready
        self.pipe, theirs = Pipe()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                # -P: a file of the user's that is called torch.py stays out of the way.
                [sys.executable, "-P", "-m", "drnn_bench.execution.trainer",
                 str(theirs.fileno()), *modules],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=one_thread(),
                start_new_session=True,  # Ctrl-C reaches the driver, which decides
                pass_fds=[theirs.fileno()],
            )  # fmt: skip
        theirs.close()

    def ask(self, *request: Any) -> None:
        if not self.ready:
            self.before.append(request)
            return
        with contextlib.suppress(OSError):  # it died: that is seen when its answer is read
            self.pipe.send(request)

    def read(self) -> Event | None:
        """Its answer; None where it only says that it is ready. Raises EOFError or OSError where
        it is gone."""
        answer = self.pipe.recv()
        if self.ready:
            return answer
        self.ready = True
        with contextlib.suppress(OSError):
            self.pipe.send(self.shared)
        for request in self.before:
            self.ask(*request)
        return None

    def stop(self) -> str:
        """Says how the process ended; one that has not after a second is killed."""
        try:
            code = self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdin.close()
        self.pipe.close()
        if self.reason:
            return self.reason
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class LocalExecutor:
    """An Executor of `size` processes. What they print goes to the file `log`."""

    def __init__(self, size: int, log: Path, shared: Any = None, modules: Sequence[str] = ()):
        log.parent.mkdir(parents=True, exist_ok=True)
        self._new = lambda: _Process(log, modules, shared)
        self._log, self._tickets, self._stillborn = log, itertools.count(1), 0
        self._logged = log.stat().st_size if log.exists() else 0
        self._processes = [self._new() for _ in range(size)]

    @property
    def size(self) -> int:
        return len(self._processes)

    @property
    def free(self) -> int:
        return sum(process.ticket is None for process in self._processes)

    @property
    def pids(self) -> dict[int, int | None]:
        """The processes, each with its ticket."""
        return {p.process.pid: p.ticket for p in self._processes}

    def start(self, job: Job) -> int:
        idle = [p for p in self._processes if p.ticket is None]
        process = next((p for p in idle if p.ready), idle[0])
        process.ticket = next(self._tickets)
        process.ask("start", job)
        process.ask("advance")
        return process.ticket

    def advance(self, ticket: int) -> None:
        self._of(ticket).ask("advance")

    def drop(self, ticket: int) -> None:
        process = self._of(ticket)
        process.ask("drop")
        process.ticket = None

    def end(self, ticket: int, reason: str) -> None:
        process = self._of(ticket)
        process.reason = reason
        process.process.kill()

    def wait(self, seconds: float) -> list[tuple[int, Event]]:
        by_pipe = {process.pipe: process for process in self._processes}
        events = []
        for pipe in wait(list(by_pipe), timeout=seconds):
            process = by_pipe[pipe]
            try:
                event = process.read()
            except (EOFError, OSError):
                how = self._replace(process)
                event = Lost(how) if process.ready else None
            else:
                self._stillborn = 0
            if event is None or process.ticket is None:
                continue
            events.append((process.ticket, event))
            if not isinstance(event, Yielded):
                process.ticket = None
        return events

    def close(self) -> None:
        for process in self._processes:
            process.process.kill()
        for process in self._processes:
            process.stop()
        self._processes = []

    def _of(self, ticket: int) -> _Process:
        return next(process for process in self._processes if process.ticket == ticket)

    def _replace(self, dead: _Process) -> str:
        """Starts another trainer in a dead one's place, which takes its job where that one was
        never ready for it. Returns how it ended."""
        how, new = dead.stop(), self._new()
        self._processes[self._processes.index(dead)] = new
        if not dead.ready:
            new.ticket, new.before = dead.ticket, dead.before
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise JobError(f"no trainer can start ({how}): {self._last_words()}")
        return how

    def _last_words(self) -> str:
        """The last line that trainers have printed since this executor began."""
        with self._log.open("rb") as file:
            file.seek(self._logged)
            lines = file.read()[-10_000:].decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:300] if said else f"it printed nothing; see {self._log}"

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
