"""Trainers as processes of this machine, with one thread each.

They are forked by a fresh Python that finds the number of threads in its environment (see
`fork_server` and `system.environment`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from drnn_bench.errors import JobError
from drnn_bench.execution.fork_server import NUMBER
from drnn_bench.execution.job import Event, Job, Lost, Yielded
from drnn_bench.system.environment import one_thread

STILLBORN = 3  # trainers that died in a row before they were ready; then the run ends


class _ForkServer:
    """The driver's end of the process that forks trainers."""

    def __init__(self, log: Path, modules: Sequence[str]):
        self._channel, far_end = socket.socketpair()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                # -P: a file of the user's that is called torch.py stays out of the way. -u: what a
                # trainer prints is in the log at once, also where it is killed.
                [sys.executable, "-u", "-P", "-m", "drnn_bench.execution.fork_server",
                 str(far_end.fileno()), *modules],
                stdin=subprocess.PIPE,  # when it closes, all trainers end
                stdout=output,
                stderr=output,
                env=one_thread(),
                start_new_session=True,  # Ctrl-C reaches the driver, which decides
                pass_fds=[far_end.fileno()],
            )  # fmt: skip
        far_end.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fork(self) -> Connection:
        """The driver's end of a new trainer's pipe. It is at its end where none can be forked."""
        pipe, far_end = Pipe()
        with far_end, contextlib.suppress(OSError):
            socket.send_fds(self._channel, [NUMBER.pack(0)], [far_end.fileno()])
        return pipe

    def exit_code(self, pid: int | None) -> int | None:
        """Of a trainer that has ended or ends now; its own where the trainer never began. None
        where only this process knew it, and is gone."""
        if pid is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(timeout=1)
            return None
        try:
            self._channel.sendall(NUMBER.pack(pid))
            return NUMBER.unpack(self._channel.recv(NUMBER.size))[0]
        except (OSError, struct.error):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            return None

    def kill(self) -> None:
        """Together with its trainers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with self._process, self._channel:  # closes its standard input, and waits
            pass


class _Process:
    """The driver's end of one trainer process."""

    def __init__(self, server: _ForkServer, shared: Any):
        self.server, self.pipe = server, server.fork()
        self.pid: int | None = None  # until it has said it
        self.ready = False
        self.ticket: int | None = None  # of its job
        self.reason = ""  # why the driver ended it
        self.send(shared)

    def send(self, request: Any) -> None:
        with contextlib.suppress(OSError):  # it died: that is seen when its answer is read
            self.pipe.send(request)

    def kill(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def ended(self) -> str:
        """How it did, after it has closed its pipe."""
        self.pipe.close()
        code = self.server.exit_code(self.pid)
        if code is None:
            return self.reason or "it ended, and so had the process that forks trainers"
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return self.reason or how


class LocalExecutor:
    """An Executor of `size` processes. What they print goes to the file `log`."""

    def __init__(self, size: int, log: Path, shared: Any = None, modules: Sequence[str] = ()):
        log.parent.mkdir(parents=True, exist_ok=True)
        self._new_server = lambda: _ForkServer(log, modules)
        self._server, self._shared = self._new_server(), shared
        self._log, self._tickets, self._stillborn = log, itertools.count(1), 0
        self._fallen: _ForkServer | None = None  # the last that died with trainers not yet ready
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
        """Of those that have begun."""
        return [process.pid for process in self._processes if process.pid is not None]

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
        process.kill()

    def wait(self, seconds: float) -> list[tuple[int | None, Event]]:
        by_pipe: dict[Any, _Process] = {process.pipe: process for process in self._processes}
        events = []
        for pipe in wait(list(by_pipe), timeout=seconds):
            process = by_pipe[pipe]
            try:
                event = process.pipe.recv()
            except (EOFError, OSError):
                event = Lost(self._replace(process))
            if isinstance(event, int):
                process.pid = event
            elif event is None:
                process.ready, self._stillborn = True, 0
            elif process.ready:
                events.append((process.ticket, event))
                if not isinstance(event, Yielded):
                    process.ticket = None
        return events

    def close(self) -> None:
        for server in {self._server, *(process.server for process in self._processes)}:
            server.kill()
        for process in self._processes:
            with contextlib.suppress(EOFError, OSError):  # the end of its pipe is its own
                while True:
                    process.pipe.recv()
            process.pipe.close()
        self._processes = []

    def _free(self) -> list[_Process]:
        return [process for process in self._processes if process.ready and process.ticket is None]

    def _of(self, ticket: int) -> _Process:
        return next(process for process in self._processes if process.ticket == ticket)

    def _new(self) -> _Process:
        if not self._server.alive:
            self._server = self._new_server()
        return _Process(self._server, self._shared)

    def _replace(self, dead: _Process) -> str:
        """Starts another trainer in a dead one's place. Returns how that one ended."""
        how, place = dead.ended(), self._processes.index(dead)
        self._processes[place] = self._new()
        if not dead.ready and dead.server is not self._fallen:
            self._stillborn += 1
            if not dead.server.alive:  # all its trainers count as one
                self._fallen = dead.server
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
