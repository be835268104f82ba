"""Checks before a run begins that it can write its files: hours later would be too late."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from drnn_bench.errors import JobError, UserError
from drnn_bench.system.escape import file_name

BOARDS = Path("leaderboards")
ROOM = 2**20  # bytes that a run writes beside data and weights, at least


def check_runs(folder: Path) -> Path:
    """Makes the runs folder where it does not exist, and returns it. Raises UserError where a file
    in it cannot be written."""
    advice = "give another --runs-dir"
    with _refusing(f"runs folder {folder}", advice):
        folder.mkdir(parents=True, exist_ok=True)
    for part in (folder, folder / "data", folder / "weights"):
        with _refusing(f"runs folder {part}", advice):
            _probe(part)
    for name in ("records.jsonl", "studies.db", "trainers.log"):
        with _refusing(f"{folder / name}", advice):
            _check_file(folder / name)
    return folder.resolve()


def check_boards(task_key: str, folder: Path = BOARDS) -> None:
    """Raises UserError where a task's board could not be published; nothing is made."""
    name = file_name(task_key)
    for part in (folder, folder / "records"):
        with _refusing(f"boards folder {part}", "run from a folder that can be written"):
            _probe(part)
    for path in (folder / "records" / f"{name}.jsonl", folder / f"{name}.md",
                 folder / f"{name}.csv"):  # fmt: skip
        with _refusing(f"board {path}", "make room for it"):
            _check_file(path)


def check_room(folder: Path, bytes_needed: int) -> None:
    """Raises JobError where a disk does not have so many bytes left, and some more."""
    free, needed = shutil.disk_usage(folder).free, bytes_needed + ROOM
    if free < needed:
        raise JobError(
            f"{folder}: {free / 1e6:,.1f} MB are free, the weights that will be kept there take "
            f"up to {needed / 1e6:,.1f} MB: make room, or give another --runs-dir"
        )


@contextlib.contextmanager
def _refusing(what: str, advice: str):
    try:
        yield
    except OSError as error:
        raise UserError(f"{what} cannot be written ({error.strerror}): {advice}") from None


def _probe(folder: Path) -> None:
    """Writes a small file into a folder, or into the one in which it will be made, and removes it.
    Raises OSError."""
    while not os.path.lexists(folder):
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(4096))  # a full disk still makes empty files
        file.flush()
        os.fsync(file.fileno())


def _check_file(path: Path) -> None:
    """Raises OSError where an existing file cannot be appended to."""
    if os.path.lexists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
