"""A real PostgreSQL server for the tests: a private cluster on loopback, gone when they are.

It is made in a temporary folder with the binaries of the PATH or of Debian's package; where there
are none, or no driver, the tests that ask for it skip and say so.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Runs the server; when told to stop, or when the tests' process is gone (even by SIGKILL), it
# stops the server, and in the second case removes its folder.
GUARD = """
folder=$1; shift
"$@" & server=$!
if read -r told; then kill -INT $server; wait
else kill -INT $server; wait; rm -rf "$folder"; fi
"""


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: that of the PATH, or Debian's newest."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda path: float(path.parts[4]), default=None)
    return newest and newest.parent


class Server:
    """One cluster. Its port stays the same when it is stopped and started again."""

    def __init__(self, folder: Path):
        self.folder, self._bin = folder, binaries()
        self._password, self.port = secrets.token_hex(8), _free_port()
        self._user: dict[str, object] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses root
            known = {entry.pw_name: entry for entry in pwd.getpwall()}
            entry = known.get("postgres") or known["nobody"]
            self._user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        secret = folder / "password"
        secret.write_text(self._password)
        secret.chmod(0o644)  # its folder is the server's alone
        subprocess.run(
            [self._bin / "initdb", "-D", folder / "data", "-U", "bench", "-A", "scram-sha-256",
             f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync"],
            cwd=folder, check=True, capture_output=True, **self._user,
        )  # fmt: skip

    def url(self, database: str) -> str:
        return f"postgresql://bench:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 100,  # the default of most installations
        }
        words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                ["sh", "-c", GUARD, "guard", self.folder,
                 self._bin / "postgres", "-D", self.folder / "data", *words],
                cwd=self.folder, stdin=subprocess.PIPE, stdout=log, stderr=log,
                start_new_session=True, **self._user,
            )  # fmt: skip
        end = time.monotonic() + 300
        while time.monotonic() < end:
            with contextlib.suppress(self._driver.OperationalError), self.connect():
                return
            time.sleep(0.1)
        raise RuntimeError(f"PostgreSQL does not start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """Stops the server as an administrator would: every connection is cut."""
        self._guard.communicate(b"stop\n")

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """The server is stopped within, and runs again after."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @property
    def _driver(self):
        import psycopg

        return psycopg

    def connect(self, database: str = "postgres"):
        """An administrator's connection; it commits every statement."""
        return self._driver.connect(self.url(database), autocommit=True)


def _free_port() -> int:
    """Below the range from which outgoing connections take theirs: while the server is down, a
    client that tries its port must not meet itself there."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server, running; a test that stops it starts it again."""
    pytest.importorskip("psycopg", reason="the postgres extra (psycopg) is not installed")
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: no initdb in PATH or /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        server = Server(folder)
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres: Server) -> str:
    """The URL of an empty database."""
    name = f"t{secrets.token_hex(6)}"
    with postgres.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres.url(name)
