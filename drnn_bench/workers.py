"""Worker processes: one process, one thread, many jobs.

Left at torch's default threads, four workers on four cores run a hundred times slower than with
one thread each; the number has to be set before torch is imported. So a worker is a fresh Python
that gets it in its environment. The parent writes it jobs as JSON lines and reads results as JSON
lines; when the parent dies, the pipe closes and the worker ends at once.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def environment() -> dict[str, str]:
    """One thread, and this very package, from wherever it was imported."""
    here = str(Path(__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), "PYTHONPATH": paths}


class Worker:
    """The parent's end of one worker process."""

    def __init__(self, log: Path, keep_open: tuple[int, ...] = ()):
        self.name = uuid.uuid4().hex[:12]
        self.job: dict[str, Any] | None = None
        self.verdict: str | None = None  # why it was killed
        self._buffer = b""
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                # -P: a file of the user's that is called torch.py stays out of the way.
                [sys.executable, "-P", "-m", "drnn_bench.worker_main", self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                start_new_session=True,  # Ctrl-C reaches the parent, which decides
                pass_fds=keep_open,
            )

    def start(self, job: dict[str, Any]) -> None:
        self.job = job
        try:
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: the closed pipe is seen when its answer is read

    def read(self) -> list[dict[str, Any]] | None:
        """Whole answers that have arrived; None when the process is gone."""
        chunk = os.read(self.process.stdout.fileno(), 1 << 20)
        if not chunk:
            return None
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def kill(self, verdict: str) -> None:
        """Ends the process; its pool then sees it die of this."""
        self.verdict = verdict
        self.process.kill()

    def stop(self) -> int:
        """Ends the process now and returns its exit code."""
        self.process.kill()
        code = self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        return code


class Pool:
    """Workers that take jobs from one list. A context manager: all end with it."""

    def __init__(self, size: int, log: Path, keep_open: tuple[int, ...] = ()):
        self._log, self._keep_open = log, keep_open
        log.parent.mkdir(parents=True, exist_ok=True)
        self._selector = selectors.DefaultSelector()
        self.workers: list[Worker] = []
        for _ in range(size):
            self._add()

    def _add(self) -> Worker:
        worker = Worker(self._log, self._keep_open)
        self.workers.append(worker)
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        return worker

    def run(
        self, jobs: list[dict[str, Any]], tick: float = 0.5
    ) -> Iterator[tuple[str, dict[str, Any] | None, dict[str, Any]]]:
        """Gives the jobs to free workers and yields (event, job, answer) as things happen; whoever
        reads them may add to `jobs` meanwhile.

        done    the job's answer
        failed  the worker raised; answer has `error` and `kind`
        died    the worker's process is gone; answer has `worker` and `reason`. Another is started
        tick    nothing happened for `tick` seconds
        """
        while True:
            for worker in self.workers:
                if jobs and worker.job is None:
                    worker.start(jobs.pop(0))
            if not any(worker.job for worker in self.workers):
                return
            ready = self._selector.select(timeout=tick)
            if not ready:
                yield "tick", None, {}
            for key, _ in ready:
                worker: Worker = key.data
                answers, job = worker.read(), worker.job
                if answers is None:
                    self._selector.unregister(key.fileobj)
                    self.workers.remove(worker)
                    code = worker.stop()
                    self._add()
                    reason = worker.verdict or _how(code)
                    yield "died", job, {"worker": worker.name, "reason": reason}
                    continue
                for answer in answers:
                    worker.job = None
                    yield ("failed" if "error" in answer else "done"), job, answer

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self.workers:
            worker.stop()
        self._selector.close()


def _how(code: int) -> str:
    import signal

    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
