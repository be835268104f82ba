"""A task's arrays on disk, read once a machine and mapped into memory by every trainer.

The files are checked before they are used: see `verification`. The folder's name ends in the hash
of `task.json`. `store` writes a damaged copy again from the source that was just read; a worker
refuses a damaged copy, because trials may have read it already.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from drnn_bench.errors import JobError, UserError, one_line
from drnn_bench.formats.limits import naming_memory_errors
from drnn_bench.metrics.forms import steps_of
from drnn_bench.tasks.checks import check_arrays
from drnn_bench.tasks.registry import task_type
from drnn_bench.tasks.task import (
    SPLITS,
    Arrays,
    Task,
    data_hash,
)
from drnn_bench.tasks.verification import full_fault, quick_fault, write_manifest

PARTS = ("x", "y", "lengths")  # of a split; the last where sequences differ in length
TASK = "task.json"


@dataclass(frozen=True)
class Loaded:
    """A task whose data has been read, checked and hashed."""

    task: Task
    arrays: Arrays
    data_hash: str
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class TaskFacts(Protocol):
    """A task, and what its data says of it."""

    @property
    def task(self) -> Task: ...

    @property
    def guessing(self) -> float: ...


@dataclass(frozen=True)
class Prepared:
    """The same on disk: what trainers share. The folder holds the arrays and the task itself."""

    task: Task
    data_hash: str
    folder: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=(), compare=False)  # on the copy, a line each

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

    @property
    def guessing(self) -> float:
        """The task's metric where nothing is learned, on its training split."""
        return _guessing(self.task, self.arrays())

    def verified(self) -> Arrays:
        """The arrays, once all of their bytes were hashed. Cheap where no file has changed since
        this process last did so. Raises JobError where they are not those that were written."""
        self._refuse(full_fault(Path(self.folder), self.arrays, self.data_hash))
        return self.arrays()

    def __reduce__(self) -> tuple:
        """Pickled as its folder: pickle would not find the class of a plug-in's task."""
        return open_prepared, (self.folder,)

    def check_quickly(self) -> None:
        """Raises JobError where a file is not as it was written, by size, time and some blocks."""
        self._refuse(quick_fault(Path(self.folder), self.arrays, self.data_hash))

    def _refuse(self, fault: str | None) -> None:
        if fault is not None:
            raise JobError(
                f"the prepared data in {self.folder} is damaged: {fault}. What was trained since "
                "may have read it; the same `bench run` prepares it again from its source"
            )


@dataclass(frozen=True)
class InMemory:
    """The same in memory: what travels to the nodes of a cluster."""

    task: Task
    data_hash: str
    values: Arrays

    def __reduce__(self) -> tuple:
        """As for Prepared, the task goes by its name."""
        return _in_memory, (self.task.name, self.task.saved, self.data_hash, self.values)

    def arrays(self) -> Arrays:
        return self.values

    def check_quickly(self) -> None:
        """Nobody can write to it."""

    @property
    def guessing(self) -> float:
        """The task's metric where nothing is learned, on its training split."""
        return _guessing(self.task, self.arrays())

    def verified(self) -> Arrays:
        """The arrays, once all of their bytes were hashed. Raises JobError where they are not
        those that were sent."""
        if data_hash(self.values) != self.data_hash:
            raise JobError("the data arrived damaged: its hash is another")
        return self.values

    def verify(self) -> None:
        """As `verified`, when a trainer of a cluster starts."""
        self.verified()


def _guessing(task: Task, arrays: Arrays) -> float:
    form = task.target_form
    constant = task.metrics[0].guess(steps_of(arrays["train"][1], form, task.stream), form)
    if task.naive_value is None:
        return constant
    return (max if task.direction == "max" else min)(constant, task.naive_value)


def _in_memory(name: str, saved: dict[str, Any], data_hash: str, values: Arrays) -> InMemory:
    return InMemory(task_type(name)(**saved), data_hash, values)


def read(task: Task, data_dir: str | None) -> Loaded:
    """Reads and checks. Raises UserError where the data is wrong, or takes too much memory."""
    with naming_memory_errors(f"task {task.name}"):
        known, arrays, notes, facts = task.read(data_dir)
    check_arrays(known, arrays)
    return Loaded(known, arrays, data_hash(arrays), notes, facts)


def store(loaded: Loaded, cache_dir: Path) -> Prepared:
    """Leaves the arrays under `cache_dir`, whole or not at all. A copy that is there already is
    checked in full, and written again where it is damaged. Raises JobError where that fails."""
    task = loaded.task
    description = {"name": task.name, "fields": task.saved, "data_hash": loaded.data_hash}
    if loaded.facts:
        description["facts"] = loaded.facts
    saved = json.dumps(description)
    folder = cache_dir / f"{task.name}-{_digest(saved.encode())}"
    prepared = Prepared(task, loaded.data_hash, str(folder), loaded.facts)
    fault = _fault(prepared, saved)
    if fault is None:
        return prepared
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _alone(cache_dir):
            fault = _fault(prepared, saved)  # another process may have been first
            if fault is not None:
                _write(loaded.arrays, saved, folder)
    except OSError as error:
        raise JobError(
            f"{cache_dir}: the data cannot be written there ({error.strerror or error})"
            + (f", and the copy in {folder} is damaged: {fault}" if folder.exists() else "")
        ) from None
    again = fault is not None and fault is not _ABSENT
    notes = (f"The prepared data was damaged ({fault}) and was written again.",) if again else ()
    return Prepared(task, loaded.data_hash, str(folder), loaded.facts, notes)


_ABSENT = "it is not there"


def _fault(prepared: Prepared, saved: str) -> str | None:
    """What is wrong with a copy on disk, or None."""
    folder = Path(prepared.folder)
    if not folder.exists():
        return _ABSENT
    try:
        if (folder / TASK).read_bytes() != saved.encode():
            return f"{TASK} was changed"
    except OSError as error:
        return f"{TASK} cannot be read: {error.strerror or error}"
    # The quick check names the file; the full one finds what it cannot see.
    return quick_fault(folder, prepared.arrays, prepared.data_hash) or full_fault(
        folder, prepared.arrays, prepared.data_hash
    )


def _write(arrays: Arrays, saved: str, folder: Path) -> None:
    """Writes a copy beside its place and moves it there: as one folder, or file by file into a
    damaged one, where other processes may have files open."""
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        for split in SPLITS:
            for part, array in zip(PARTS, arrays[split], strict=False):
                np.save(partial / f"{split}_{part}.npy", array, allow_pickle=False)
        (partial / TASK).write_text(saved, encoding="utf-8")
        if folder.exists():
            for path in set(folder.glob("*.npy")) - {folder / p.name for p in partial.iterdir()}:
                path.unlink()
            for path in sorted(partial.iterdir()):
                os.replace(path, folder / path.name)
            write_manifest(folder)
        else:
            write_manifest(partial)
            partial.chmod(0o755)  # others on this machine may work on the same runs
            os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer at a time in a folder. Where it cannot be locked (some network file systems),
    several write the same bytes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def prepare(task: Task, data_dir: str | None, cache_dir: Path) -> Prepared:
    return store(read(task, data_dir), cache_dir)


def open_prepared(folder: Path | str) -> Prepared:
    """What `store` left in a folder, after the quick check. Raises JobError where it is damaged,
    UserError where its task is not known here."""
    prepared = read_task(Path(folder))
    prepared.check_quickly()
    return prepared


def read_task(folder: Path) -> Prepared:
    """The same by `task.json` alone; no array is looked at."""
    path = folder / TASK
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JobError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not folder.name.endswith(f"-{_digest(data)}"):
        raise JobError(f"{path}: damaged; the same `bench run` writes it again")
    saved = json.loads(data)
    kind = task_type(saved["name"])
    try:
        task = kind(**saved["fields"])
    except TypeError as error:  # the options that its class has today are others
        raise UserError(
            f"{path}: was written by another version of task {saved['name']} ({one_line(error)})"
        ) from None
    return Prepared(task, saved["data_hash"], str(folder), saved.get("facts", {}))


def all_prepared(cache_dir: Path) -> tuple[list[Prepared], list[str]]:
    """The tasks whose data lies under a folder, and a line on each that cannot be read. A task
    that is not known here (a plug-in's) is left out."""
    tasks, notes = [], []
    for path in sorted(cache_dir.glob("*/task.json")):
        try:
            tasks.append(read_task(path.parent))
        except JobError as error:
            notes.append(str(error))
        except UserError:
            continue
    return tasks, notes


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
