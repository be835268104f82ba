"""What a process of ours finds in its environment: threads, this very package, and a device."""

from __future__ import annotations

import os
from pathlib import Path

from drnn_bench.errors import UserError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def one_thread() -> dict[str, str]:
    """The environment of a process of one thread that imports this very package.

    At torch's default threads, four processes on four cores run a hundred times slower than with
    one thread each, and the number has to be set before torch is imported.
    """
    here = str(Path(__file__).parent.parent.parent)
    paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), "PYTHONPATH": paths}


def find_device(name: str) -> str:
    """`cpu` or `cuda` for auto, cpu or cuda. Raises UserError where there is no such device."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"unknown --device {name!r}: auto, cpu or cuda")
    if name == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise UserError("--device cuda: torch sees no GPU here; leave it out or say cpu")
    return "cpu"
