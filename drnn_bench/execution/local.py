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
from drnn_bench.execution.job import Event, Job, Lost, Yielded
from drnn_bench.system.environment import one_thread

STILLBORN = 3  # trainers that died in a row before they were ready


class _Process:
    """The driver's end of one trainer process."""

    def __init__(self, log: Path, modules: Sequence[str], shared: Any):
        self.ready = False
        self.ticket: int | None = None  # of its job
        self.reason = ""  # why the driver ended it
        self.pipe, far_end = Pipe()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                # -P: a file of the user's that is called torch.py stays out of the way.
                [sys.executable, "-P", "-m", "drnn_bench.execution.trainer",
                 str(far_end.fileno()), *modules],
                stdin=subprocess.PIPE,  # when it closes, the trainer ends
                stdout=output,
                stderr=output,
                env=one_thread(),
                start_new_session=True,  # Ctrl-C reaches the driver, which decides
                pass_fds=[far_end.fileno()],
            )  # fmt: skip
        far_end.close()
        self.send(shared)

    def send(self, request: Any) -> None:
        with contextlib.suppress(OSError):  # it died: that is seen when its answer is read
            self.pipe.send(request)

    def stop(self) -> str:
        """Returns how the process ended; one that has not after a second is killed."""
        with self.process:  # closes its standard input, and waits
            try:
                self.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.pipe.close()
        code = self.process.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return self.reason or how


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
        return len(self._free())

    @property
    def pids(self) -> list[int]:
        return [process.process.pid for process in self._processes]

    def start(self, job: Job) -> int:
        process = self._free()[0]
        process.ticket = next(self._tickets)
        process.send(("start", job))
        process.send(("advance",))
        return process.ticket

    def advance(self, ticket: int) -> None:
        self._of(ticket).send(("advance",))

    def drop(self, ticket: int) -> None:
        process = self._of(ticket)
        process.send(("drop",))
        process.ticket = None

    def end(self, ticket: int, reason: str) -> None:
        process = self._of(ticket)
        process.reason = reason
        process.process.kill()

    def wait(self, seconds: float) -> list[tuple[int, Event]]:
        by_pipe: dict[Any, _Process] = {process.pipe: process for process in self._processes}
        events = []
        for pipe in wait(list(by_pipe), timeout=seconds):
            process = by_pipe[pipe]
            try:
                event, self._stillborn = process.pipe.recv(), 0
            except (EOFError, OSError):
                event = Lost(self._replace(process))
            if event is None:
                process.ready = True
            elif process.ticket is not None:
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

    def _free(self) -> list[_Process]:
        return [process for process in self._processes if process.ready and process.ticket is None]

    def _of(self, ticket: int) -> _Process:
        return next(process for process in self._processes if process.ticket == ticket)

    def _replace(self, dead: _Process) -> str:
        """Starts another trainer in a dead one's place. Returns how that one ended."""
        how, place = dead.stop(), self._processes.index(dead)
        self._processes[place] = self._new()
        self._stillborn += not dead.ready
        if self._stillborn >= STILLBORN:
            raise JobError(f"no trainer can start ({how}): {self._last_words()}")
        return how

    def _last_words(self) -> str:
        """The last line that trainers have printed since this executor began."""
        with self._log.open("rb") as file:
            file.seek(self._logged)
            lines = file.read()[-10_000:].decode(errors="replace").split("\n")
        written = [line.strip() for line in lines if line.strip()]
        return written[-1][:300] if written else f"it printed nothing; see {self._log}"
