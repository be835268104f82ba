"""`bench worker`: this machine's hands in a search that was begun elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import optuna

from drnn_bench import __version__
from drnn_bench.database import TrialLock, answering, hide_password
from drnn_bench.errors import JobError, UserError
from drnn_bench.models import config_type
from drnn_bench.progress import Progress, standing
from drnn_bench.storage import has_tables, open_storage
from drnn_bench.studies import StudySpec, studies_of, tally
from drnn_bench.supervise import Studies, at_work, supervise
from drnn_bench.tasks import parse_task
from drnn_bench.tasks.cache import Loaded, Prepared, read, store
from drnn_bench.workers import Pool

WAIT, LOOK = 120.0, 1.0  # seconds that a worker waits for a search to begin, and between two looks


def join(
    url: str,
    *,
    slots: int,
    device: str,
    data_dir: str | None,
    runs_dir: Path,
    task: str | None,
    progress: Progress,
    say: Callable[[str], None],
) -> int:
    """Searches until every study of the storage has its trials; the number of studies helped.

    `task`: where its data is, for a task whose path only this machine knows. Raises UserError
    where this machine would not do the same trials, JobError where there is no search.
    """
    if slots < 1:
        raise UserError(f"--slots must be at least 1, got {slots}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(answering(url))
        storage = _when_begun(url, say)
        working, _ = stack.enter_context(at_work(url))
        groups: dict[tuple, Studies] = {}
        for spec, study in studies_of(storage):
            if not _ended(study):
                key = (spec.task, spec.data_hash, study.user_attrs["trials"])
                groups.setdefault(key, []).append((spec, study))
        for (key, _, trials), studies in groups.items():
            prepared = _same_data(studies, task, data_dir, runs_dir)
            for note in prepared.notes:
                say(note)
            say(f"joined {len(studies)} studies of {key} with {slots} slots")
            job = {
                "do": "search",
                "storage": url,
                "studies": [asdict(spec) for spec, _ in studies],
                "trials": trials,
                "data": prepared.folder,
                "device": device,
            }

            def show(studies: Studies = studies, trials: int = trials) -> None:
                progress.show([standing(*each, trials) for each in studies])

            progress.begin(sum(tally(s.get_trials(deepcopy=False)).done for _, s in studies))
            try:
                with Pool(slots, runs_dir / "workers.log", working) as pool:
                    supervise(pool, studies, TrialLock(storage), job, show=show, say=say)
            finally:
                progress.end()
    return sum(map(len, groups.values()))


def _when_begun(url: str, say: Callable[[str], None]) -> optuna.storages.RDBStorage:
    """The storage, once a search has begun there. (A worker makes no tables: many that met an
    empty database would race for them.)"""
    began, said = time.monotonic(), False
    while True:
        if has_tables(url):
            storage = open_storage(url)  # behind whoever makes them
            if studies_of(storage):
                return storage
        if not said:
            say(f"waiting for a search to begin at {hide_password(url)}")
            said = True
        if time.monotonic() - began > WAIT:
            raise JobError(
                f"no search began at {hide_password(url)} within {WAIT:.0f} s: start one with "
                "`bench run --storage` and the same URL"
            )
        time.sleep(LOOK)


def _ended(study: optuna.Study) -> bool:
    done = tally(study.get_trials(deepcopy=False)).done
    return done >= study.user_attrs["trials"] or "ended" in study.user_attrs


def _same_data(
    studies: Studies, task: str | None, data_dir: str | None, runs_dir: Path
) -> Prepared:
    """The data of some studies of one task, read here. Raises UserError where anything differs
    from what the search was begun with."""
    for spec, study in studies:
        theirs = study.user_attrs["harness_version"]
        if theirs != __version__:
            raise UserError(
                f"the search was begun with drnn_bench {theirs}, this is {__version__}: install "
                f"{theirs} here"
            )
        config_type(spec.family)
        spec.check_code()
    spec = studies[0][0]
    loaded = _read(spec, task, data_dir)
    if loaded.task.key != spec.task:
        raise UserError(f"the search is on {spec.task}, not on {loaded.task.key}")
    for what, ours, theirs in (
        ("version", loaded.task.version, spec.task_version),
        ("data hash", loaded.data_hash, spec.data_hash),
    ):
        if ours != theirs:
            raise UserError(
                f"task {spec.task}: its {what} is {ours} here and {theirs} in the search; "
                "both must read the same data with the same drnn_bench"
            )
    return store(loaded, runs_dir / "data")


def _read(spec: StudySpec, task: str | None, data_dir: str | None) -> Loaded:
    try:
        asked = parse_task(task or spec.task)
    except UserError as error:
        if task is not None:
            raise
        raise UserError(
            f"the search is on {spec.task}: say where that is, --task NAME:path=... ({error})"
        ) from None
    return read(asked, data_dir)
