"""A trainer: one job at a time, advanced from yield to yield.

As a process it is forked by `fork_server`. It reads requests from a pipe and ends when the driver
is gone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Generator
from multiprocessing.connection import Connection
from typing import Any

from drnn_bench.errors import JobError, UserError, one_line, out_of_memory
from drnn_bench.execution.job import Event, Failed, Job, Returned, Yielded
from drnn_bench.system.allocator import trim


class Trainer:
    """Answers the three requests. `shared` is given to every job."""

    _running: Generator[Any, None, Any]  # the last job that was started

    def __init__(self, shared: Any):
        self._shared = shared

    def start(self, job: Job) -> None:
        self._running = job.run(self._shared)

    def advance(self) -> Event:
        event = self._advanced()
        if not isinstance(event, Yielded):
            trim()
        return event

    def _advanced(self) -> Event:
        try:
            return Yielded(next(self._running))
        except StopIteration as end:
            return Returned(end.value)
        except (UserError, JobError) as error:
            return Failed(str(error), traceback.format_exc(), known=True, final=True)
        except BaseException as error:  # a plug-in may raise anything, and the trainer goes on
            trace, memory = traceback.format_exc(), out_of_memory(error)
            print(trace, file=sys.stderr, flush=True)
            reason = memory or f"{type(error).__name__}: {one_line(error)}"
            return Failed(reason, trace, known=memory is not None)

    def drop(self) -> None:
        with contextlib.suppress(Exception):  # what a job's own cleaning up raises
            self._running.close()
        trim()


def serve(pipe: Connection) -> None:
    """Serves one driver over a pipe, which brings what all jobs share and then requests. Sends
    None when it is ready for them."""
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    trainer = Trainer(pipe.recv())
    pipe.send(None)
    while True:
        try:
            request, *rest = pipe.recv()
        except EOFError:  # the driver is gone
            return
        if request == "advance":
            pipe.send(trainer.advance())
        else:
            getattr(trainer, request)(*rest)


def _end_with_the_driver() -> None:
    """The driver holds the other end of standard input and writes nothing to it."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(0)
