"""The result rows: one schema, JSON lines, appended once and never edited.

A row tells all by itself what was run and what came out; rankings are computed from rows and from
nothing else. It names no host, path or user. Roles:

    final  one finalist trained on one fresh seed: validation and test, SHA-256 of its weights
    study  a finished search in summary: counts, best, each complete trial's MRL and value
    speed  the throughput of one finalist, measured alone
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = 1

# What every row has; what is measured depends on the role.
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


def append(path: Path, rows: list[dict[str, Any]]) -> None:
    """Adds whole lines and syncs them to disk; on a full disk, none of them."""
    text = "".join(json.dumps(row, sort_keys=True, allow_nan=False) + "\n" for row in rows)
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


def read(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """All rows that can be read, the first of each id, and a line on each that cannot."""
    rows: dict[str, dict[str, Any]] = {}
    notes = []
    if not path.exists():
        return [], []
    for number, line in enumerate(
        path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not {"schema", "id", "role"} <= row.keys():
                raise ValueError
        except ValueError:
            notes.append(f"{path.name}:{number}: not a whole row, left out")
            continue
        if row["schema"] != SCHEMA:
            notes.append(
                f"{path.name}:{number}: schema {row['schema']}, this is {SCHEMA}: left out"
            )
            continue
        rows.setdefault(row["id"], row)
    return list(rows.values()), notes


def read_folder(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a runs folder (`records.jsonl`), or of published boards (`records/*.jsonl`)."""
    rows, notes = [], []
    for path in [folder / "records.jsonl", *sorted((folder / "records").glob("*.jsonl"))]:
        for known, more in zip((rows, notes), read(path), strict=True):
            known += more
    return rows, notes


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
