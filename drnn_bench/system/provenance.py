"""Where a result came from: versions, hardware, commit. No host name, no path, no user name."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

from drnn_bench import __version__

CODE = ("drnn_bench", "search_spaces", "bench.py", "pyproject.toml")
# Vector instructions: libraries choose their kernels by them, and sums come out in another order.
_SIMD = re.compile(r"(avx|fma|amx|f16c|sve|asimd|neon)\w*")


@lru_cache
def provenance(device: str, threads: int) -> dict[str, Any]:
    """The part of a row that says where it came from; `threads` are those of the fused kernels."""
    import optuna
    import torch

    commit, dirty = _git()
    return {
        "harness_version": __version__,
        "git_commit": commit,
        "git_dirty": dirty,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "numba": importlib.metadata.version("numba"),
        "optuna": optuna.__version__,
        "cuda": torch.version.cuda if device.startswith("cuda") else None,
        "processor": torch.cuda.get_device_name(device) if device != "cpu" else processor(),
        **_instructions(),
        "device": device,
        "threads": threads,
        "dtype": "float32",
    }


def processor() -> str:
    """The processor's model and the cores this process may use."""
    name = _cpuinfo().get("model name") or platform.processor() or platform.machine()
    return f"{name}, {cores()} cores"


def _instructions() -> dict[str, str]:
    """What tells processors of one name apart: `cpu`, their family and model, and `simd`, their
    vector instructions. Empty where the system does not say."""
    facts = _cpuinfo()
    keys = ("vendor_id", "cpu family", "model", "stepping")  # of x86
    if "CPU part" in facts:
        keys = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")  # of ARM
    names = facts.get("flags", facts.get("Features", "")).split()
    return {
        "cpu": " ".join(facts[key] for key in keys if key in facts),
        "simd": " ".join(sorted(name for name in names if _SIMD.fullmatch(name))),
    }


@lru_cache
def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def cores() -> int:
    """Cores this process may use: what taskset or a container's quota (`docker run --cpus`, a limit
    of Kubernetes) leaves it, rounded up."""
    from joblib import cpu_count

    return cpu_count()


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
        # Boards and folders of runs, whatever their names, are what a run writes.
        status = subprocess.run(
            [*run, "status", "--porcelain", "--", *CODE],
            capture_output=True, text=True, timeout=10, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit, bool(status.strip())
