"""Snapshots of trainings in a runs folder. They are written whole or not at all, and removed when
their training has ended."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from drnn_bench import __version__
from drnn_bench.errors import JobError
from drnn_bench.system.files import write_whole

FORMAT = 2  # raised when a snapshot holds something else


class Snapshots:
    """One file for each training. A damaged file, or one of another version or format, counts as
    none, and the training begins again."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, name: str) -> bytes | None:
        """The snapshot of a training; None where there is none to use."""
        try:
            head, _, data = self._path(name).read_bytes().partition(b"\n")
        except OSError:
            return None
        return data if head == self._head(data) else None

    def write(self, name: str, data: bytes) -> None:
        """Replaces the snapshot of a training. Raises JobError where it cannot be written."""
        try:
            write_whole(self._path(name), self._head(data) + b"\n" + data)
        except OSError as error:
            raise JobError(
                f"{self.folder}: a snapshot cannot be written there ({error.strerror}); what is "
                "finished is saved, and the same command continues"
            ) from None

    def remove(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.snapshot"

    def _head(self, data: bytes) -> bytes:
        facts = {
            "version": __version__,
            "format": FORMAT,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        return json.dumps(facts, sort_keys=True).encode()
