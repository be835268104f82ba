"""Watches over the workers of this machine while they search: `bench run` and `bench worker`.

A worker that dies is seen at once: its trial is queued again (see `storage.requeue`) and another
worker takes its place. One whose trial hangs is killed first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from drnn_bench.database import TrialLock, is_sqlite, patience
from drnn_bench.errors import JobError, UserError
from drnn_bench.search import bury_the_dead, release
from drnn_bench.studies import StudySpec, tally
from drnn_bench.workers import Pool

# A trial may take so many seconds and so many times the longest of its study before it counts as
# hanging: architectures of one family differ twentyfold in speed.
LEAST, TIMES = 600.0, 20.0
SHOW, WATCH = 0.5, 5.0  # seconds between two looks

Row = dict[str, Any]
Studies = list[tuple[StudySpec, optuna.Study]]


def supervise(
    pool: Pool,
    studies: Studies,
    lock: TrialLock,
    job: Row,
    *,
    show: Callable[[], None],
    say: Callable[[str], None],
    expected: dict[str, float] | None = None,
) -> None:
    """Gives `job`, a search, to the workers and returns when every study has its trials.

    `expected`: seconds of a trial by study identity, until one is finished. However it ends, no
    trial of these workers stays running: on an error or Ctrl-C they are stopped and their trials
    queued again.
    """
    trials, names = job["trials"], {worker.name for worker in pool.workers}
    left = sum(max(0, trials - count.done) for count in _tallies(studies))
    jobs = [job] * min(len(pool.workers), left)
    deaths, shown, watch = 0, 0.0, _Watch(studies, expected or {})
    try:
        for event, _, answer in pool.run(jobs):
            names |= {worker.name for worker in pool.workers}
            if event == "died":
                deaths += 1
                _bury(studies, lock, answer, say)
                if deaths > 20 + trials:
                    raise JobError(f"{deaths} workers died; the last: {answer['reason']}")
                if any(count.done < trials for count in _tallies(studies)):
                    jobs.append(job)
            elif event == "failed":
                check(event, answer)
            watch.end_what_hangs(pool)
            if time.monotonic() - shown > SHOW:
                show()
                shown = time.monotonic()
        with lock.hold():  # others may have died since
            for _, study in studies:
                bury_the_dead(study, {})
        show()
    except BaseException as error:
        for worker in pool.workers:
            worker.stop()
        # An interrupt within a read leaves it open, and our own writes would wait for it: its
        # cursor lives in the frames that the interrupt came through.
        traceback.clear_frames(error.__traceback__)
        # Where it is the database that is gone, heartbeats will tell.
        with patience(5.0), contextlib.suppress(StorageInternalError, DBAPIError, sqlite3.Error):
            for _, study in studies:
                study._storage.remove_session()
                release(study, lock, workers=names)
        raise


def _bury(studies: Studies, lock: TrialLock, answer: Row, say: Callable[[str], None]) -> None:
    died = {answer["worker"]}
    lost = sum(release(study, lock, workers=died, reason=answer["reason"]) for _, study in studies)
    then = "its trial runs again" if lost else "it had no trial"
    say(f"a worker died ({answer['reason']}); {then}")


class _Watch:
    """Ends workers whose trial takes far too long, by this process's own clock."""

    def __init__(self, studies: Studies, expected: dict[str, float]):
        self.studies, self.expected = studies, expected
        self.since: dict[int, float] = {}
        self.last = time.monotonic()

    def end_what_hangs(self, pool: Pool) -> None:
        now = time.monotonic()
        if now - self.last < WATCH:
            return
        self.last = now
        workers = {worker.name: worker for worker in pool.workers}
        for spec, study in self.studies:
            found = study.get_trials(deepcopy=False)
            longest = max(
                (t.user_attrs["seconds"] for t in found if t.state == TrialState.COMPLETE),
                default=self.expected.get(spec.identity),
            )
            running = [t for t in found if t.state == TrialState.RUNNING]
            for trial in running if longest is not None else ():
                worker = workers.get(trial.user_attrs.get("worker"))
                took = now - self.since.setdefault(trial._trial_id, now)
                if worker and took > LEAST + TIMES * longest:
                    worker.kill(f"hanging: {took:.0f} s, the longest took {longest:.0f} s")


def _tallies(studies: Studies) -> list:
    return [tally(study.get_trials(deepcopy=False)) for _, study in studies]


def check(event: str, answer: Row) -> None:
    """Raises for a worker's failure: in one line where it is understood, whole where it is not."""
    if event == "died":
        raise JobError(f"a worker died ({answer['reason']}); see workers.log in the runs folder")
    if event == "failed":
        if answer["kind"] in ("UserError", "JobError"):
            raise JobError(answer["error"])
        raise RuntimeError(f"a worker failed:\n{answer['error']}")


# -- who is at work on a storage -----------------------------------------------------------------


@contextlib.contextmanager
def only_run(storage: str, runs_dir: Path) -> Iterator[int]:
    """Held by `bench run` and its workers; yields the lock's file descriptor.

    The workers inherit it: after a parent is killed, the next one waits until they too are gone,
    so that a trial found running then has nobody to finish it.
    """
    path = Path(f"{make_url(storage).database}.run") if is_sqlite(storage) else runs_dir / "lock"
    with _opened(path) as descriptor:
        for _ in range(50):
            if _take(descriptor, fcntl.LOCK_EX):
                yield descriptor
                return
            time.sleep(0.1)
        raise UserError(
            f"another `bench run` is at work on {path.parent}: wait for it, stop it, give another "
            "--runs-dir, or help it with `bench worker`"
        )


@contextlib.contextmanager
def at_work(storage: str) -> Iterator[tuple[tuple[int, ...], bool]]:
    """Held by everybody whose workers search a SQLite storage, and by the workers. Yields the
    descriptors that they inherit, and whether nobody else was there: then whatever is found
    running has nobody to finish it. (Elsewhere only heartbeats can tell.)"""
    if not is_sqlite(storage):
        yield (), False
        return
    with _opened(Path(f"{make_url(storage).database}.workers")) as descriptor:
        alone = _take(descriptor, fcntl.LOCK_EX)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield (descriptor,), alone


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"storage {path.with_suffix('')}: {error.strerror}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
