"""One driver a study: a file lock beside SQLite, advisory locks on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from drnn_bench.errors import JobError, UserError
from drnn_bench.search.database import (
    TROUBLE,
    connecting,
    connection,
    engine_settings,
    is_sqlite,
)

PATIENCE = 5.0  # seconds: a driver that was killed lets go at once, one that ends needs a moment


class StudyLock:
    """Held by the driver of some studies."""

    def confirm(self) -> None:
        """Call before anything is written: whether it is still held, taken again where a database
        has lost it with its connection. Raises JobError where another driver has it now."""


class _AdvisoryLock(StudyLock):
    """PostgreSQL's, one a study; it lasts as long as its connection."""

    def __init__(self, url: str, digests: Sequence[str]):
        self._engine = create_engine(url, **engine_settings(url))
        self._keys = {digest: advisory_key(digest) for digest in sorted(digests)}
        self._connection: Connection | None = None

    def take(self) -> str | None:
        """Takes all or none. The digest of a study that another driver holds, if any."""
        opened = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        for digest, key in self._keys.items():
            if not opened.execute(text(f"SELECT pg_try_advisory_lock({key})")).scalar():
                opened.invalidate()  # its end lets go of all
                opened.close()
                return digest
        self._connection = opened
        return None

    def confirm(self) -> None:
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
                return
            except TROUBLE:
                self._drop()
        held = self.take()
        if held is not None:
            raise JobError(f"another driver has taken study {held} while the database was gone")

    def _drop(self) -> None:
        with contextlib.suppress(*TROUBLE):
            self._connection.invalidate()
            self._connection.close()
        self._connection = None

    def close(self) -> None:
        if self._connection is not None:
            self._drop()
        self._engine.dispose()


def advisory_key(digest: str) -> int:
    """A study's digest as PostgreSQL's 64 signed bits."""
    return int(digest[:15], 16)


@contextlib.contextmanager
def only_driver(url: str, runs_dir: Path, digests: Sequence[str]) -> Iterator[StudyLock]:
    """Held by the one driver of these studies, and of this runs folder.

    Raises UserError where another driver is at work and does not end within a few seconds.
    """
    paths = [runs_dir / "lock"]
    if is_sqlite(url):
        paths.append(_beside(url))
    with contextlib.ExitStack() as stack:
        for path in dict.fromkeys(paths):
            stack.enter_context(_file_lock(path))
        if is_sqlite(url):
            yield StudyLock()
            return
        lock = _AdvisoryLock(url, digests)
        stack.callback(lock.close)
        with connecting(url):
            held = lock.take()
        if held is not None:
            raise UserError(
                f"another `bench run` is at work on study {held} of this storage: wait for it, or "
                "stop it"
            )
        yield lock


def drivers_at_work(url: str, digests: Sequence[str]) -> set[str]:
    """Which of these studies a driver is at work on. Writes nothing."""
    if is_sqlite(url):
        path = _beside(url)
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
        held = set(opened.execute(statement).scalars())
    return {digest for digest in digests if advisory_key(digest) in held}


def _beside(url: str) -> Path:
    return Path(f"{make_url(url).database}.run")


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
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
    try:
        yield
    finally:
        lock.release()
