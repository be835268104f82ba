"""A task's arrays on disk, read once a machine and mapped into memory by every worker."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from drnn_bench.errors import JobError, UserError
from drnn_bench.formats.room import said_if_none_is_left
from drnn_bench.tasks import task_type
from drnn_bench.tasks.checks import check_arrays
from drnn_bench.tasks.task import SPLITS, Arrays, Task, data_hash

PARTS = ("x", "y", "lengths")  # of a split; the last where sequences differ in length


@dataclass(frozen=True)
class Loaded:
    """A task whose data has been read, checked and hashed."""

    task: Task
    arrays: Arrays
    data_hash: str
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """The same on disk: what workers share. The folder holds the arrays and the task itself."""

    task: Task
    data_hash: str
    folder: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def arrays(self) -> Arrays:
        folder = Path(self.folder)
        return {
            split: tuple(
                np.load(folder / f"{split}_{part}.npy", mmap_mode="r", allow_pickle=False)
                for part in PARTS
                if (folder / f"{split}_{part}.npy").exists()
            )
            for split in SPLITS
        }


def read(task: Task, data_dir: str | None) -> Loaded:
    """Reads and checks. Raises UserError where the data is wrong, or takes too much memory."""
    with said_if_none_is_left(f"task {task.name}"):
        known, arrays, notes, facts = task.read(data_dir)
    check_arrays(known, arrays)
    return Loaded(known, arrays, data_hash(arrays), notes, facts)


def store(loaded: Loaded, cache_dir: Path) -> Prepared:
    """Leaves the arrays under `cache_dir`, whole or not at all."""
    task, arrays = loaded.task, loaded.arrays
    told = {"name": task.name, "fields": task.saved, "data_hash": loaded.data_hash}
    if loaded.facts:
        told["facts"] = loaded.facts
    saved = json.dumps(told)
    folder = cache_dir / f"{task.name}-{hashlib.sha256(saved.encode()).hexdigest()[:12]}"
    if not folder.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cache_dir, prefix=".partial-"))
        try:
            for split in SPLITS:
                for part, array in zip(PARTS, arrays[split], strict=False):
                    np.save(partial / f"{split}_{part}.npy", array, allow_pickle=False)
            (partial / "task.json").write_text(saved, encoding="utf-8")
            partial.chmod(0o755)  # others on this machine may work on the same runs
            os.replace(partial, folder)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            if not folder.exists():  # else another process was first, with the same bytes
                raise JobError(
                    f"{cache_dir}: the data cannot be written there ({error.strerror or error})"
                ) from None
    return Prepared(task, loaded.data_hash, str(folder), loaded.facts)


def prepare(task: Task, data_dir: str | None, cache_dir: Path) -> Prepared:
    return store(read(task, data_dir), cache_dir)


def open_prepared(folder: Path | str) -> Prepared:
    """What `store` left in a folder."""
    folder = Path(folder)
    saved = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    task = task_type(saved["name"])(**saved["fields"])
    return Prepared(task, saved["data_hash"], str(folder), saved.get("facts", {}))


def all_prepared(cache_dir: Path) -> Iterator[Prepared]:
    """What lies under a folder, but for tasks that are not known here (a plug-in's)."""
    for path in sorted(cache_dir.glob("*/task.json")):
        with contextlib.suppress(UserError):
            yield open_prepared(path.parent)
