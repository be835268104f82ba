"""The Optuna storage of a search: opened, held by one driver, and waited for in trouble."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import optuna
from sqlalchemy import inspect, text

from drnn_bench.errors import JobError, one_line
from drnn_bench.search.database import (
    TROUBLE,
    connecting,
    connection,
    engine_settings,
    hide_password,
    hopeless,
    is_sqlite,
    sqlite_path,
    why_of,
)

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

PATIENCE = 300.0  # seconds for which a database may be in trouble
SILENCE = 4.0  # seconds without an answer, after which a line says so
_MAKING_TABLES = 0x6472_6E6E  # a PostgreSQL advisory lock: "drnn"

Result = TypeVar("Result")


def open_storage(url: str, create: bool = True) -> optuna.storages.RDBStorage:
    """Opens it; `create` makes the tables where there are none.

    Raises UserError for a URL that cannot be one, JobError where nothing answers, or where another
    version of Optuna made the tables.
    """
    settings = engine_settings(url)
    with connecting(url), _making_tables(url) if create else contextlib.nullcontext():
        try:
            return optuna.storages.RDBStorage(
                url.replace("{", "{{").replace("}", "}}"),  # Optuna formats it
                engine_kwargs=settings,
                skip_table_creation=not create,
            )
        except (RuntimeError, AssertionError) as error:  # Optuna's, on tables of another version
            raise JobError(f"storage {hide_password(url)}: {one_line(error)}") from None


def has_tables(url: str) -> bool:
    """Whether a search was ever begun there. Raises as `open_storage` does."""
    if is_sqlite(url) and not sqlite_path(url).exists():
        return False  # SQLite would make the file
    with connecting(url), connection(url) as opened:
        # A study comes after the tables are whole.
        tables = inspect(opened).has_table("studies")
        return bool(tables and opened.execute(text("SELECT 1 FROM studies")).first())


class PatientStorage:
    """The storage of one driver, which alone writes to its studies.

    An operation that the database fails is repeated until the database answers, so an operation
    must be safe to repeat. `recover` is called before a repetition.
    """

    def __init__(
        self,
        optuna_storage: optuna.storages.RDBStorage,
        confirm_lock: Callable[[], None],
        say: Callable[[str], None],
        check: Callable[[], None],
    ):
        """`confirm_lock` is called before every operation. `check` is called while it waits, and
        may raise to end it."""
        self.optuna = optuna_storage
        self.recover: Callable[[], None] = lambda: None
        self._confirm_lock, self._say, self._check = confirm_lock, say, check
        self._name = hide_password(optuna_storage.url)
        # An operation takes milliseconds, and a thread for each would take as long: one looks
        # after all that begin within SILENCE seconds.
        self._watching = threading.Lock()
        self._watcher: threading.Timer | None = None
        self._began: float | None = None  # the operation that runs

    def do(self, operation: Callable[[], Result]) -> Result:
        """What the operation returns. Raises JobError where the database does not come back."""
        began: float | None = None
        reported = ""
        while True:
            try:
                with self._saying_silence():
                    self._confirm_lock()
                    if began is not None:
                        self.recover()
                    result = operation()
            except TROUBLE as error:
                reason = why_of(self.optuna.url, error)
                now = time.monotonic()
                began = now if began is None else began
                if hopeless(reason) or now - began > PATIENCE:
                    raise JobError(
                        f"storage {self._name}: {reason}; what is finished is saved, and the same "
                        "command continues once it works"
                    ) from None
                if reason != reported:
                    self._say(
                        f"storage {self._name}: {reason}; waiting for it up to "
                        f"{PATIENCE / 60:.0f} minutes"
                    )
                    reported = reason
                self._pause(min(1.0, 0.1 + (now - began) / 10))
            else:
                if began is not None:
                    self._say(f"storage {self._name} answers again")
                return result

    def try_once(self, operation: Callable[[], None]) -> None:
        """Tries an operation at the end of a run, and gives it up where the database is in trouble:
        the next driver does what this one leaves undone."""
        with contextlib.suppress(*TROUBLE, JobError):
            self.optuna.remove_session()  # an interrupted operation may have left it open
            self._confirm_lock()
            operation()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._check()
            time.sleep(0.05)

    @contextlib.contextmanager
    def _saying_silence(self) -> Iterator[None]:
        """Within it, a line says that an operation takes long: the database may be locked."""
        with self._watching:
            self._began = time.monotonic()
            if self._watcher is None:
                self._watch(SILENCE)
        try:
            yield
        finally:
            self._began = None

    def _watch(self, seconds: float) -> None:
        self._watcher = threading.Timer(seconds, self._look)
        self._watcher.daemon = True
        self._watcher.start()

    def _look(self) -> None:
        with self._watching:
            began, self._watcher = self._began, None
            left = None if began is None else SILENCE - (time.monotonic() - began)
            if left is not None and left > 0:
                self._watch(left)
        if left is not None and left <= 0:
            self._say(f"storage {self._name} has not answered for {SILENCE:.0f} s; still waiting")


@contextlib.contextmanager
def _making_tables(url: str) -> Iterator[None]:
    """One process at a time: two that met an empty PostgreSQL database would race for them."""
    if is_sqlite(url):
        yield
        return
    with connection(url) as opened:  # its end lets go
        opened.execute(text(f"SELECT pg_advisory_lock({_MAKING_TABLES})"))
        yield
