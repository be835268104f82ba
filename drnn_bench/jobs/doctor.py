"""`bench doctor`: what this machine has, and which tasks find their data."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.system.provenance import provenance
from drnn_bench.tasks.names import TASKS
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.sources import hub_in_sight

EXTRAS = {"postgres": "psycopg", "figures": "matplotlib"}  # what pip calls it -> its module
LIBRARIES = ("torch", "optuna", "pandas", "datasets", "numpy", "typer")


def examine(data_dir: str | None, runs_dir: str) -> dict[str, Any]:
    """Facts by name, as JSON values."""
    import torch

    facts = provenance("cpu", torch.get_num_threads())
    commit = facts["git_commit"] and facts["git_commit"][:10] + " (changed)" * facts["git_dirty"]
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "drnn_bench": " ".join(filter(None, [facts["harness_version"], commit])),
        "python": f"{facts['python']}, {platform.system()} {platform.machine()}",
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        **{extra: _extra(extra, module) for extra, module in EXTRAS.items()},
        "processor": f"{facts['processor']}, {torch.backends.cpu.get_cpu_capability()}",
        "memory": f"{_memory() / 2**30:.1f} GiB",
        "gpu": ", ".join(gpus) or "none that torch sees",
        "runs folder": _room(Path(runs_dir)),
        "hub": "in sight" if hub_in_sight() else "out of sight: give --data-dir",
        **{f"data {name}": _data(name, data_dir) for name in TASKS},
    }


def _extra(extra: str, module: str) -> str:
    installed = importlib.util.find_spec(module) is not None
    return "installed" if installed else f"missing: pip install 'drnn-bench[{extra}]'"


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _room(folder: Path) -> str:
    """Where runs would go, and how much room there is."""
    existing = folder if folder.exists() else folder.resolve().parent
    free = f"{shutil.disk_usage(existing).free / 2**30:.0f} GiB free"
    return free if os.access(existing, os.W_OK) else f"cannot be written, {free}"


def _data(name: str, data_dir: str | None) -> str:
    """Whether a task finds its data. Recordings are only listed."""
    task = parse_task(name)
    if any("path" in field.metadata for field in task.__dataclass_fields__.values()):
        return f"yours: --task {name}:path=..."
    if name in ("pixel_digits", "copy_memory"):
        return "needs none"
    if data_dir is None:
        return "from the hub" if name != "speaker_fsdd" else "needs --data-dir"
    try:
        getattr(task, "recordings", task.read)(data_dir)
    except UserError as error:
        return str(error)
    return f"found in {data_dir}"
