"""The Optuna storage of the searches: heartbeats, patience, and trials that are queued again."""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from drnn_bench.database import (
    engine_settings,
    hide_password,
    is_sqlite,
    making_tables,
    waiting,
    why,
    why_of,
)
from drnn_bench.errors import JobError, UserError, one_line

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

HEARTBEAT, GRACE = 30, 120  # seconds
MAX_RETRIES = 2


def sqlite_url(runs_dir: Path) -> str:
    """That of a runs folder, whatever characters its name has."""
    url = URL.create("sqlite", database=str(runs_dir / "studies.db"))
    return url.render_as_string(hide_password=False)


def open_storage(url: str, create: bool = True) -> optuna.storages.RDBStorage:
    """`create`: makes the tables where there are none, one process at a time (eight that meet an
    empty PostgreSQL database would race for them, and most would die).

    Raises UserError for a URL that cannot be one, JobError where nothing answers, or where
    another version of Optuna made the tables.
    """
    settings = engine_settings(url)
    try:
        with making_tables(url) if create else contextlib.nullcontext():
            return _Patient(
                url.replace("{", "{{").replace("}", "}}"),  # Optuna formats it
                engine_kwargs=settings,
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=_stale,
                skip_table_creation=not create,
            )
    except ImportError as error:
        raise UserError(
            f"storage {hide_password(url)} needs a driver: pip install 'drnn-bench[postgres]' "
            f"({' '.join(str(error).split())})"
        ) from None
    except (ArgumentError, TypeError, ValueError) as error:  # an option that the driver lacks
        raise UserError(f"storage {hide_password(url)}: {why_of(url, error)}") from None
    except (DBAPIError, sqlite3.Error) as error:
        said = why_of(url, error)
        raise JobError(f"storage {hide_password(url)} does not answer: {said}") from None
    except RuntimeError as error:  # Optuna's, which names the versions and the way to upgrade
        raise JobError(f"storage {hide_password(url)}: {one_line(error)}") from None


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """A database that is damaged, or gone, is one line about `what` was to be read: JobError."""
    try:
        yield
    except (StorageInternalError, DBAPIError, sqlite3.Error) as error:
        raise JobError(f"{what} cannot be read: {why(error)}") from None
    except json.JSONDecodeError as error:  # an attribute in Optuna's tables
        raise JobError(f"{what} cannot be read: an attribute is no JSON ({error})") from None


def has_tables(url: str) -> bool:
    """Whether a search was ever begun there. Raises as `open_storage` does."""
    settings = engine_settings(url)
    if is_sqlite(url) and not Path(make_url(url).database).exists():
        return False  # SQLite would make the file
    try:
        engine = create_engine(url, **settings)
        try:
            with engine.connect() as connection:
                # A study comes after the tables are whole.
                tables = inspect(connection).has_table("studies")
                return (
                    tables and connection.execute(text("SELECT 1 FROM studies")).first() is not None
                )
        finally:
            engine.dispose()
    except ImportError as error:
        raise UserError(f"storage {hide_password(url)}: {error}") from None
    except (ArgumentError, TypeError, ValueError) as error:
        raise UserError(f"storage {hide_password(url)}: {why_of(url, error)}") from None
    except DBAPIError as error:
        said = why_of(url, error)
        raise JobError(f"storage {hide_password(url)} does not answer: {said}") from None


def _patiently(method: Callable) -> Callable:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with_patience = waiting()
        while True:
            try:
                return method(*args, **kwargs)
            except (StorageInternalError, DBAPIError) as error:
                with_patience(error)

    return call


class _Patient(optuna.storages.RDBStorage):
    """Waits for a database that is gone for a while.

    A call whose answer was lost on the way is made again. Where that makes a second trial, nobody
    runs the first: it has no heartbeat, and `Search` frees its place.
    """


# Beside its public methods, what Optuna's cache in front of it calls.
_REACHED = ("_create_new_trial", "_set_trial_param", "_get_best_trial_id", "_get_trials",
            "_get_stale_trial_ids")  # fmt: skip
_LOCAL = ("get_heartbeat_interval", "get_heartbeat_stale_trial_callback", "remove_session")
for _name, _method in vars(optuna.storages.RDBStorage).items():
    if _name in _REACHED or (
        callable(_method) and not _name.startswith("_") and _name not in _LOCAL
    ):
        setattr(_Patient, _name, _patiently(_method))


def _stale(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    requeue(study, trial, interrupted=False)


def beats(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
    """Whether the worker of a running trial has ever beaten."""
    statement = text("SELECT 1 FROM trial_heartbeats WHERE trial_id = :trial")
    with study._storage._backend.engine.connect() as connection:
        return connection.execute(statement, {"trial": trial._trial_id}).first() is not None


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
