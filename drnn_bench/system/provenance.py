"""Where a result came from: versions, hardware, commit. No host name, no path, no user name."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

from drnn_bench import __version__


@lru_cache
def provenance(device: str, threads: int) -> dict[str, Any]:
    import optuna
    import torch

    commit, dirty = _git()
    return {
        "harness_version": __version__,
        "git_commit": commit,
        "git_dirty": dirty,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "optuna": optuna.__version__,
        "cuda": torch.version.cuda if device.startswith("cuda") else None,
        "processor": torch.cuda.get_device_name(device) if device != "cpu" else processor(),
        "device": device,
        "threads": threads,
        "dtype": "float32",
    }


def processor() -> str:
    """The processor's model and the cores this process may use."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {cores()} cores"


def cores() -> int:
    """Cores this process may use: what a container or taskset leaves it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _git() -> tuple[str | None, bool | None]:
    """Commit of the checkout that the package runs from, if it runs from one."""
    root = Path(__file__).parent.parent.parent
    if not (root / ".git").exists():
        return None, None
    try:
        run = ["git", "-C", str(root)]
        commit = subprocess.run(
            [*run, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        # Boards and records are what a run writes: they do not make the code dirty.
        status = subprocess.run(
            [*run, "status", "--porcelain", "--", ".", ":!leaderboards"],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit, bool(status.strip())
