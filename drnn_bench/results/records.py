"""The result rows: one schema, JSON lines, appended once and never edited.

A row alone says what was run and what came out; rankings are computed from rows and from nothing
else. It names no host, path or user. What is read is checked (`schema`): a line that holds no valid
row is left out, with a note that says why. Roles:

    candidate  one of a search's best nets trained on another seed, to choose the finalist
    final      one finalist trained on one fresh seed: validation and test, SHA-256 of its weights;
               or that it diverged, or why it failed
    study      a finished search in summary: counts, best, each complete trial's MRL and value
    speed      the throughput of one finalist, measured alone
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drnn_bench.results import schema

Row = dict[str, Any]
SCHEMA = 1
SHOWN = 5  # notes on single lines of a file; the rest are counted

# Keys of every row; what is measured depends on the role.
IDENTITY = [
    "id",
    "schema",
    "role",
    "study",
    "task",
    "task_version",
    "data_hash",
    "family",
    "config",
    "budget",
    "width",
    "parameters",
    "seed",
    "steps",
    "learning_rate",
    "recipe",
    "state",
]


def make_row(role: str, identity: dict[str, Any], **measured: Any) -> dict[str, Any]:
    """A complete row, of JSON values: an infinite MRL is the string `inf`."""
    row = {"id": uuid.uuid4().hex[:16], "schema": SCHEMA, "role": role, **identity, **measured}
    missing = [key for key in IDENTITY if key not in row]
    if missing:
        raise KeyError(f"row of role {role} lacks {missing}")
    return row


def append(path: Path, added: list[Row]) -> None:
    """Adds whole lines and syncs them to disk; on a full disk, none of them."""
    text = "".join(json.dumps(row, sort_keys=True, allow_nan=False) + "\n" for row in added)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":  # an earlier writer died inside a line: keep it apart
                text = "\n" + text
        try:
            data = memoryview(text.encode())
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)  # a full disk leaves the file as it was
            raise


def read(path: Path) -> tuple[list[Row], list[str]]:
    """All rows that can be read, the first of each id, and a line on each that cannot."""
    return _read([path])


def read_folder(folder: Path) -> tuple[list[Row], list[str]]:
    """The rows of a runs folder (`records.jsonl`), or of published boards (`records/*.jsonl`)."""
    return _read([folder / "records.jsonl", *sorted((folder / "records").glob("*.jsonl"))])


def _read(paths: list[Path]) -> tuple[list[Row], list[str]]:
    rows: dict[str, tuple[Row, str]] = {}  # by id, each with its place
    notes: list[str] = []
    for path in paths:
        left_out = []
        for place, line in _lines(path, notes):
            row, wrong = _row(line)
            if row is None:
                left_out.append(f"{place}: {wrong}, left out")
            elif rows.setdefault(row["id"], (row, place))[0] != row:
                left_out.append(
                    f"{place}: its id {row['id']} is also that of {rows[row['id']][1]}, which "
                    "says something else: left out"
                )
        notes += _few(left_out, path)
    wrong = schema.disagreeing([row for row, _ in rows.values()])
    notes += _few([f"{rows[row['id']][1]}: {fault}, left out" for row, fault in wrong], None)
    for row, _ in wrong:
        rows.pop(row["id"], None)
    return [row for row, _ in rows.values()], notes


def _lines(path: Path, notes: list[str]) -> Iterator[tuple[str, bytes]]:
    """The lines of a file that are not empty, with their places. What is wrong with the file as a
    whole is added to `notes`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        notes.append(f"{path.name}: cannot be read ({error.strerror or error})")
        return
    if not data:
        notes.append(f"{path.name}: is empty")
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield f"{path.name}:{number}", line


def _row(line: bytes) -> tuple[Row | None, str]:
    """A line's row, or what is wrong with it."""
    try:
        row = json.loads(line.decode("utf-8"))
        if not isinstance(row, dict) or not {"schema", "id", "role"} <= row.keys():
            raise ValueError
    except (ValueError, RecursionError):
        return None, "not a whole row"
    if row["schema"] != SCHEMA or isinstance(row["schema"], bool):
        return None, f"schema {str(row['schema'])[:20]}, this is {SCHEMA}"
    wrong = schema.fault(row)
    return (None, wrong) if wrong else (row, "")


def _few(notes: list[str], path: Path | None) -> list[str]:
    """The first notes, and how many more there are: every line of a file may be damaged."""
    if len(notes) <= SHOWN:
        return notes
    where = f"{path.name}: " if path else ""
    return [*notes[:SHOWN], f"{where}{len(notes) - SHOWN:,} more lines are left out"]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
