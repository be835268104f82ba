"""A task's arrays on disk, read once a machine and mapped into memory by every worker."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drnn_bench.tasks.task import SPLITS, Arrays, Task, data_hash


@dataclass(frozen=True)
class Prepared:
    """A task whose data has been read, checked and hashed."""

    task: Task
    data_hash: str
    folder: str

    def arrays(self) -> Arrays:
        folder = Path(self.folder)
        return {
            split: (
                np.load(folder / f"{split}_x.npy", mmap_mode="r", allow_pickle=False),
                np.load(folder / f"{split}_y.npy", mmap_mode="r", allow_pickle=False),
            )
            for split in SPLITS
        }


def prepare(task: Task, data_dir: str | None, cache_dir: Path) -> Prepared:
    """Reads the task's data and leaves it under `cache_dir/<data hash>`, whole or not at all."""
    arrays = task.load(data_dir)
    digest = data_hash(arrays)
    folder = cache_dir / digest
    if not folder.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cache_dir, prefix=".partial-"))
        try:
            for split in SPLITS:
                for name, array in zip("xy", arrays[split], strict=True):
                    np.save(partial / f"{split}_{name}.npy", array, allow_pickle=False)
            partial.chmod(0o755)  # others on this machine may work on the same runs
            os.replace(partial, folder)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            if not folder.exists():  # else another process was first, with the same bytes
                raise
    return Prepared(task, digest, str(folder))
