"""The database behind a search: its URL, patience where it is gone for a while, and one lock.

Optuna's own counting runs over when many workers ask at once (a limit of 100 with 16 workers ran
115). So whoever wants a trial takes the lock, counts, asks, and lets go once the trial exists.
"""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, PendingRollbackError

from drnn_bench.errors import JobError, UserError

PATIENCE = 300.0  # seconds for which a database may be gone
_LIKE = "it should look like sqlite:///file.db or postgresql://user@host/name"
_SECRET = re.compile(r"(\w*(?:pass|pwd|secret|token)\w*)=[^&\s]*", re.IGNORECASE)
_ADVISORY_LOCK = 0x6472_6E6E  # "drnn"
_HOPELESS = (  # waiting would not help
    "disk is full", "readonly database", "No space left",
    "malformed", "not a database", "no such table", "no such column",
)  # fmt: skip

# A worker waits for the lock on its one connection; only who holds the lock, or beats while it
# writes, has more for a moment. So 16 machines of 4 slots stay below PostgreSQL's default of 100.
_POSTGRES = {
    "pool_size": 1,
    "max_overflow": 4,
    "pool_pre_ping": True,
    "connect_args": {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    },
}
_CUT = (
    DBAPIError,
    PendingRollbackError,
)  # the first statement on a connection that was cut, the next


def parse_url(url: str) -> URL:
    """Raises UserError for a URL that names no database that workers could share."""
    shown = f"storage {hide_password(url)}"
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError:
        raise UserError(f"{shown} is no URL: {_LIKE}") from None
    except ValueError:
        raise UserError(f"{shown}: its port is no number: {_LIKE}") from None
    if backend not in ("sqlite", "postgresql"):
        raise UserError(f"{shown} is not supported: {_LIKE}")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UserError(f"{shown} is in memory, which workers cannot share: {_LIKE}")
    _, _, written = url.partition("?")  # SQLAlchemy drops what has no = in it
    unknown = {word.partition("=")[0] for word in written.split("&") if word}
    unknown -= {"timeout", "cached_statements"}
    if backend == "sqlite" and unknown and "uri" not in unknown:
        raise UserError(f"{shown}: SQLite has no option {', '.join(sorted(unknown))}; in a path, "
                        "? is written %3F")  # fmt: skip
    if _torn(parsed):
        raise UserError(f"{shown}: in a user's name or password @ is written %40, and / %2F")
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise UserError(f"{shown}: the port {parsed.port} is none from 1 to 65535")
    return parsed


def is_sqlite(url: str) -> bool:
    """Raises UserError as `parse_url` does."""
    return parse_url(url).get_backend_name() == "sqlite"


def engine_settings(url: str) -> dict:
    """For SQLAlchemy's engines. Raises UserError as `parse_url` does."""
    return {"connect_args": {"timeout": min(60, PATIENCE)}} if is_sqlite(url) else _POSTGRES


def _torn(parsed: URL) -> bool:
    """Whether a part of the password may stand in the host or the database, for one of its
    characters ended it."""
    return not parsed.drivername.startswith("sqlite") and "@" in f"{parsed.host}{parsed.database}"


def hide_password(url: str) -> str:
    """The URL for an error or a log. One that cannot be taken apart loses all that stands before
    its last @, for nobody can tell where the password is."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or _torn(parsed):
        shown = re.sub(r"^(\w[\w+.-]*:/+)?.*@", r"\1***@", url, flags=re.DOTALL)
    else:
        shown = parsed.render_as_string(hide_password=True)
    return _SECRET.sub(r"\1=***", shown)


def why_of(url: str, error: Exception) -> str:
    """As `why`, without the URL's password, which a driver may quote."""
    parsed, said = make_url(url), why(error)
    options = {f"{key}={value}" for key, value in parsed.query.items()}
    hidden = [option.partition("=")[2] for option in options if _SECRET.fullmatch(option)]
    for secret in filter(None, [parsed.password, *hidden]):
        if len(str(secret)) > 2:  # else the stars would tell where it stands
            said = said.replace(str(secret), "***")
    return said


@contextlib.contextmanager
def answering(url: str) -> Iterator[None]:
    """A database that is gone for good is one line: JobError."""
    try:
        yield
    except (StorageInternalError, DBAPIError, sqlite3.Error) as error:
        shown, said = hide_password(url), why_of(url, error)
        raise JobError(
            f"storage {shown} no longer answers: {said}; what is finished is saved, and the same "
            "command continues once it does"
        ) from None


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Within it, this process waits no longer than that for a database that is gone."""
    global PATIENCE
    before, PATIENCE = PATIENCE, seconds
    try:
        yield
    finally:
        PATIENCE = before


def waiting() -> Callable[[Exception], None]:
    """Called with an error of the database: sleeps longer each time, and raises it again where it
    has lasted too long or waiting would not help."""
    began, pause = time.monotonic(), 0.1

    def wait(error: Exception) -> None:
        nonlocal pause
        said = why(error)
        if time.monotonic() - began > PATIENCE or any(word in said for word in _HOPELESS):
            raise error
        time.sleep(pause * random.uniform(0.5, 1.5))  # not all workers at once
        pause = min(2 * pause, 10.0)

    return wait


def why(error: Exception) -> str:
    """The database's own words, in one line."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    said = str(getattr(cause, "orig", None) or cause).strip()
    return said.splitlines()[0] if said else type(cause).__name__


class TrialLock:
    """Held while trials are counted and made, by one process at a time among all that share a
    storage: an advisory lock on PostgreSQL; elsewhere a lock database of its own beside SQLite's
    file (on the file itself it would make Optuna's own writes fail)."""

    def __init__(self, storage: optuna.storages.RDBStorage):
        self._storage = storage

    @contextlib.contextmanager
    def hold(self) -> Iterator[Callable[[], bool]]:
        """Yields a function that says whether the lock is still held: PostgreSQL's is lost with
        its connection, and what was made after that, somebody else may have made too."""
        if is_sqlite(self._storage.url):
            with _sqlite_lock(self._storage.url):
                yield lambda: True
            return
        connection = self._connect()
        try:
            yield lambda: _alive(connection)
        finally:
            with contextlib.suppress(*_CUT):
                connection.execute(text(f"SELECT pg_advisory_unlock({_ADVISORY_LOCK})"))
            connection.close()

    def _connect(self) -> Connection:
        with_patience = waiting()
        while True:
            connection = None
            try:
                connection = self._storage.engine.connect()
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
                return connection
            except DBAPIError as error:
                if connection is not None:
                    connection.close()
                with_patience(error)


def _alive(connection: Connection) -> bool:
    try:
        connection.execute(text("SELECT 1"))
    except _CUT:
        return False
    return True


@contextlib.contextmanager
def _sqlite_lock(url: str) -> Iterator[None]:
    path = f"{make_url(url).database}.lock"
    connection = sqlite3.connect(path, timeout=600, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


@contextlib.contextmanager
def making_tables(url: str) -> Iterator[None]:
    if is_sqlite(url):
        with _sqlite_lock(url):
            yield
        return
    engine = create_engine(url, **_POSTGRES)
    try:
        with engine.connect() as connection:
            connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            yield  # the connection's end lets go
    finally:
        engine.dispose()
