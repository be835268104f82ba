"""One driver a study: a file lock beside SQLite, advisory locks on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, text

from drnn_bench.errors import JobError, UserError
from drnn_bench.search.database import TROUBLE, connecting, connection, is_sqlite, sqlite_path

PATIENCE = 5.0  # seconds: a driver that was killed lets go at once, one that ends needs a moment


@contextlib.contextmanager
def only_driver(url: str, runs_dir: Path, digests: Sequence[str]) -> Iterator[Callable[[], None]]:
    """Held by the one driver of these studies, and of this runs folder.

    Gives a function to call before anything is written: it takes the lock again where a database
    has lost it with its connection, and raises JobError where another driver has it now.

    Raises UserError where another driver is at work and does not end within a few seconds.
    """
    paths = [runs_dir / "lock"]
    if is_sqlite(url):
        paths.append(_beside(sqlite_path(url)))
    with contextlib.ExitStack() as stack:
        for path in dict.fromkeys(paths):
            stack.callback(_acquired(path).release)
        if is_sqlite(url):
            yield lambda: None
            return
        lock = _AdvisoryLock(url, digests)
        stack.callback(lock.close)
        with connecting(url):
            taken = lock.take()
        if taken is not None:
            raise UserError(
                f"another `bench run` is at work on study {taken} of this storage: wait for it, or "
                "stop it"
            )
        yield lock.confirm


class _AdvisoryLock:
    """PostgreSQL's, one a study; it lasts as long as its connection."""

    def __init__(self, url: str, digests: Sequence[str]):
        self._url, self._digests = url, sorted(digests)
        self._stack = contextlib.ExitStack()
        self._connection: Connection | None = None

    def take(self) -> str | None:
        """Takes all or none. The digest of a study that another driver holds, if any."""
        opened = self._stack.enter_context(connection(self._url))
        opened = opened.execution_options(isolation_level="AUTOCOMMIT")
        for digest in self._digests:
            statement = text(f"SELECT pg_try_advisory_lock({advisory_key(digest)})")
            if not opened.execute(statement).scalar():
                self.close()
                return digest
        self._connection = opened
        return None

    def confirm(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*TROUBLE):
                self._connection.execute(text("SELECT 1"))
                return
        self.close()
        taken = self.take()
        if taken is not None:
            raise JobError(f"another driver has taken study {taken} while the database was gone")

    def close(self) -> None:
        """Lets go of all, for the connection ends."""
        self._connection = None
        with contextlib.suppress(*TROUBLE):
            self._stack.close()


def advisory_key(digest: str) -> int:
    """A study's digest as PostgreSQL's 64 signed bits."""
    return int(digest[:15], 16)


def drivers_at_work(url: str, digests: Sequence[str]) -> set[str]:
    """Which of these studies a driver is at work on. Writes nothing."""
    if is_sqlite(url):
        path = _beside(sqlite_path(url))
        if not path.exists():
            return set()
        try:
            with FileLock(path, timeout=0):
                return set()
        except (Timeout, OSError):
            return set(digests)
    statement = text(
        "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' "
        "AND granted AND objsubid = 1"
    )
    with connection(url) as opened:
        keys = set(opened.execute(statement).scalars())
    return {digest for digest in digests if advisory_key(digest) in keys}


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.run")


def _acquired(path: Path) -> FileLock:
    if not path.parent.is_dir():  # FileLock would make it
        raise UserError(f"{path.parent}: No such file or directory; make the folder first")
    lock = FileLock(path, timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"another `bench run` is at work on {path.parent}: wait for it, stop it, or give "
            "another --runs-dir"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror})") from None
    return lock
