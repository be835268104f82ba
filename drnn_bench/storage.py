"""The Optuna storage of the searches, and the one lock under which trials are counted and made.

Optuna's own counting runs over when many workers ask at once (a limit of 100 with 16 workers ran
115). So whoever wants a trial takes the lock, counts, asks, and lets go once the trial exists.
"""

from __future__ import annotations

import contextlib
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from drnn_bench.errors import JobError, UserError

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

HEARTBEAT, GRACE = 30, 120  # seconds
MAX_RETRIES = 2
_LIKE = "it should look like sqlite:///file.db or postgresql://user@host/name"
_ADVISORY_LOCK = 0x6472_6E6E  # "drnn"


def sqlite_url(runs_dir: Path) -> str:
    return f"sqlite:///{runs_dir / 'studies.db'}"


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Raises UserError for a URL that cannot be one, JobError where nothing answers."""
    sqlite = parse_url(url).get_backend_name() == "sqlite"
    try:
        connect = {"timeout": 60} if sqlite else {}
        return optuna.storages.RDBStorage(
            url,
            engine_kwargs={"connect_args": connect, "pool_pre_ping": not sqlite},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=_stale,
        )
    except ImportError as error:
        raise UserError(
            f"storage {hide_password(url)} needs a driver: pip install 'drnn-bench[postgres]' "
            f"({' '.join(str(error).split())})"
        ) from None
    except DBAPIError as error:
        why = str(error.orig).strip().splitlines()[0]
        raise JobError(f"storage {hide_password(url)} does not answer: {why}") from None


def _stale(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    requeue(study, trial, interrupted=False)


def parse_url(url: str) -> URL:
    """Raises UserError for a URL that names no database that workers could share."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError:
        raise UserError(f"storage {url!r} is no URL: {_LIKE}") from None
    if backend not in ("sqlite", "postgresql"):
        raise UserError(f"storage {parsed.render_as_string()!r} is not supported: {_LIKE}")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UserError(f"storage {url!r} is in memory, which workers cannot share: {_LIKE}")
    return parsed


def hide_password(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


class TrialLock:
    """Held while trials are counted and made, by one process at a time among all that share a
    storage: an advisory lock on PostgreSQL; elsewhere a lock database of its own beside SQLite's
    file (on the file itself it would make Optuna's own writes fail)."""

    def __init__(self, url: str):
        parsed = parse_url(url)
        self._postgres = None
        if parsed.get_backend_name() == "postgresql":
            from sqlalchemy import create_engine

            self._postgres = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
        else:
            self._path = f"{parsed.database}.lock"

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self._postgres is not None:
                connection = stack.enter_context(self._postgres.connect())
                connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
                stack.callback(
                    lambda: connection.execute(text(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
                )
            else:
                connection = sqlite3.connect(self._path, timeout=600, isolation_level=None)
                stack.callback(connection.close)
                connection.execute("BEGIN IMMEDIATE")
            yield


def failed_for_good(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial failed by itself, its retries used up."""
    attrs = trial.user_attrs
    return (
        trial.state == optuna.trial.TrialState.FAIL
        and "interrupted" not in attrs
        and attrs.get("retries", 0) >= MAX_RETRIES
    )


def requeue(study: optuna.Study, trial: optuna.trial.FrozenTrial, interrupted: bool) -> None:
    """Queues a failed trial's parameters again, in the same place of the search: at most twice
    for a trial that died by itself, always for one that was interrupted.

    A trial that was not wholly drawn just frees its place, which will be drawn the same way. Call
    under the lock, so that nobody takes the place in between.
    """
    attrs = trial.user_attrs
    if "config" not in attrs or (not interrupted and attrs.get("retries", 0) >= MAX_RETRIES):
        return
    kept = {key: attrs[key] for key in ("index", "warm") if key in attrs}
    queue(study, trial.params, kept | {"retries": attrs.get("retries", 0) + (not interrupted)})


def queue(study: optuna.Study, params: dict[str, Any], attrs: dict[str, Any]) -> None:
    """Adds a trial of these parameters that waits for a worker. Call under the lock."""
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING,
            user_attrs=attrs,
            system_attrs={"fixed_params": params},
        )
    )
