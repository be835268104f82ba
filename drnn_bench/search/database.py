"""The database behind a search: its URL, how it is opened, and what its errors say."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, PendingRollbackError

from drnn_bench.errors import JobError, UserError, one_line

# What a database in trouble raises: through Optuna, through SQLAlchemy, on a cut connection.
TROUBLE = (StorageInternalError, DBAPIError, PendingRollbackError, sqlite3.Error)

_LIKE = "it should look like sqlite:///file.db or postgresql://user@host/name"
_SECRET = re.compile(r"(\w*(?:pass|pwd|secret|token)\w*)=[^&\s]*", re.IGNORECASE)
_HOPELESS = (  # waiting would not help
    "disk is full", "readonly database", "No space left",
    "malformed", "not a database", "no such table", "no such column",
)  # fmt: skip
_POSTGRES = {
    "pool_size": 1,
    "max_overflow": 4,
    "pool_pre_ping": True,
    "connect_args": {
        "connect_timeout": 4,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    },
}
# Seconds for which another writer is waited for. No signal arrives within them.
_SQLITE = {"connect_args": {"timeout": 1}}


def parse_url(url: str) -> URL:
    """Raises UserError for a URL that names no database that a search can use."""
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
        raise UserError(f"{shown} is in memory and would be lost: {_LIKE}")
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


def sqlite_url(runs_dir: Path) -> str:
    """The storage of a runs folder, whatever characters its name has."""
    path = str(Path(runs_dir).resolve() / "studies.db")
    return URL.create("sqlite", database=path).render_as_string(hide_password=False)


def is_sqlite(url: str) -> bool:
    """Raises UserError as `parse_url` does."""
    return parse_url(url).get_backend_name() == "sqlite"


def sqlite_path(url: str) -> Path:
    """The file of an SQLite database."""
    return Path(parse_url(url).database or "")


def engine_settings(url: str) -> dict:
    """For SQLAlchemy's engines. Raises UserError as `parse_url` does."""
    return _SQLITE if is_sqlite(url) else _POSTGRES


@contextlib.contextmanager
def connection(url: str) -> Iterator[Connection]:
    """A connection of its own, closed at the end."""
    engine = create_engine(url, **engine_settings(url))
    try:
        with engine.connect() as opened:
            yield opened
    finally:
        engine.dispose()


@contextlib.contextmanager
def connecting(url: str) -> Iterator[None]:
    """Within it, a database that cannot be opened is one line: UserError where its URL or its
    driver is wrong, JobError where nothing answers."""
    shown = f"storage {hide_password(url)}"
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{shown} needs a driver: pip install 'drnn-bench[postgres]' ({one_line(error)})"
        ) from None
    except TROUBLE as error:
        raise JobError(f"{shown} does not answer: {why_of(url, error)}") from None
    except (ArgumentError, TypeError, ValueError) as error:  # an option that the driver lacks
        raise UserError(f"{shown}: {why_of(url, error)}") from None


@contextlib.contextmanager
def answering(url: str) -> Iterator[None]:
    """Within it, a database that fails is one line: JobError."""
    try:
        yield
    except TROUBLE as error:
        raise JobError(
            f"storage {hide_password(url)} no longer answers: {why_of(url, error)}; what is "
            "finished is saved, and the same command continues once it does"
        ) from None


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """A database that is damaged, or gone, is one line about `what` was to be read: JobError."""
    try:
        yield
    except TROUBLE as error:
        raise JobError(f"{what} cannot be read: {why(error)}") from None
    except json.JSONDecodeError as error:  # an attribute in Optuna's tables
        raise JobError(f"{what} cannot be read: an attribute is no JSON ({error})") from None


def _torn(parsed: URL) -> bool:
    """Whether the host or the database may hold a part of the password, because a character of the
    password was not escaped and ended it."""
    return not parsed.drivername.startswith("sqlite") and "@" in f"{parsed.host}{parsed.database}"


def hide_password(url: str) -> str:
    """The URL for an error or a log. One that cannot be parsed loses everything before its last @,
    because the password may be anywhere in it."""
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
    """As `why`, without the URL's password, which a database driver may quote."""
    parsed, reason = make_url(url), why(error)
    options = {f"{key}={value}" for key, value in parsed.query.items()}
    hidden = [option.partition("=")[2] for option in options if _SECRET.fullmatch(option)]
    for secret in filter(None, [parsed.password, *hidden]):
        if len(str(secret)) > 2:  # else the stars would tell where it stands
            reason = reason.replace(str(secret), "***")
    return reason


def why(error: Exception) -> str:
    """The database's own words, in one line."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return one_line(getattr(cause, "orig", None) or cause or error)


def hopeless(reason: str) -> bool:
    """Whether a database in this trouble will not come back by itself."""
    return any(word in reason for word in _HOPELESS)
