"""What the driver of a search costs, with trainers that only sleep.

    python benchmarks/driver.py [--storage URL] [--trainers 4,32,256] [--trials 300]

The driver, Optuna and the storage are real. A trainer is a time at which it answers: no process, no
training. The driver's cost is the time in which it does not wait for answers; beside it stands the
processor's time of the process, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

from drnn_bench.execution.job import Event, Returned, Yielded
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.search.ask import DrivenStudy
from drnn_bench.search.database import sqlite_url
from drnn_bench.search.driver import Driver
from drnn_bench.search.lock import only_driver
from drnn_bench.search.storage import PatientStorage, open_storage
from drnn_bench.search.study import open_study
from drnn_bench.training.loop import Evaluation
from drnn_bench.training.snapshots import Snapshots

EVALUATIONS, PAUSE = 8, 0.05  # of a trial; seconds of sleep before each
TRIAL = 30.0  # seconds of a trial, for the number of trainers that one driver can serve


class Sleepers:
    """An executor of trainers that sleep before every answer."""

    def __init__(self, size: int):
        self.size, self.slept = size, 0.0
        self._tickets, self._left = itertools.count(), {}
        self._due: list[tuple[float, int]] = []

    @property
    def free(self) -> int:
        return self.size - len(self._left)

    def start(self, job: Any) -> int:
        ticket = next(self._tickets)
        self._left[ticket] = EVALUATIONS
        self.advance(ticket)
        return ticket

    def advance(self, ticket: int) -> None:
        heapq.heappush(self._due, (time.perf_counter() + PAUSE, ticket))

    def drop(self, ticket: int) -> None:
        del self._left[ticket]

    def end(self, ticket: int, reason: str) -> None:
        raise AssertionError(f"nothing hangs here: {reason}")

    def wait(self, seconds: float) -> list[tuple[int, Event]]:
        began = time.perf_counter()
        due, ticket = self._due[0]
        if due > began:
            time.sleep(min(seconds, due - began))
        self.slept += time.perf_counter() - began
        if time.perf_counter() < due:
            return []
        heapq.heappop(self._due)
        number = EVALUATIONS - self._left[ticket] + 1
        if number > EVALUATIONS:
            del self._left[ticket]
            return [(ticket, Returned({"validation": 0.5, "seconds": EVALUATIONS * PAUSE}))]
        self._left[ticket] -= 1
        return [(ticket, Yielded(Evaluation(number, 0.01 * number, 0.0, number * PAUSE)))]

    def close(self) -> None:
        pass


def cost(
    folder: Path, storage: str | None, trainers: int, trials: int, seed: int
) -> tuple[float, float]:
    """Seconds of the driver for a trial, its reports included: of the clock, of the processor."""
    plan = make_plan(
        Request(task="pixel_digits", families=("dilated_rnn",), trials=trials, steps=100,
                runs_dir=str(folder), device="cpu", seed=seed)
    )  # fmt: skip
    url = storage or sqlite_url(folder)
    with only_driver(url, folder, [spec.digest for spec in plan.specs]) as confirm:
        opened = open_storage(url)
        patient = PatientStorage(opened, confirm, print, lambda: None)
        studies = [
            DrivenStudy(spec, open_study(opened, spec, plan.task), plan.prepared, "cpu")
            for spec in plan.specs
        ]
        sleepers = Sleepers(trainers)
        began, processor = time.perf_counter(), time.process_time()
        Driver(patient, studies, trials, sleepers, Snapshots(folder / "snapshots")).run()
        whole, processor = time.perf_counter() - began, time.process_time() - processor
    return (whole - sleepers.slept) / trials, processor / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", help="default: SQLite in a temporary folder")
    parser.add_argument("--trainers", default="4,32,256")
    parser.add_argument("--trials", type=int, default=300)
    options = parser.parse_args()
    print("| trainers | ms of the driver a trial | of the processor | trainers of 30-second trials "
          "at its limit |")  # fmt: skip
    print("|---:|---:|---:|---:|")
    for seed, trainers in enumerate(map(int, options.trainers.split(","))):
        with tempfile.TemporaryDirectory() as folder:
            seconds, processor = cost(Path(folder), options.storage, trainers, options.trials, seed)
        figures = (trainers, 1000 * seconds, 1000 * processor, TRIAL / seconds)
        print("| " + " | ".join(f"{figure:.0f}" for figure in figures) + " |")


if __name__ == "__main__":
    main()
