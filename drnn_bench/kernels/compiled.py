"""How Numba compiles the kernels, where the result is kept, and which process does it.

Compiling takes seconds and is done once per machine. The result is kept in a folder of the user's
cache (XDG_CACHE_HOME, or NUMBA_CACHE_DIR where it is set), whose name depends on the kernels'
source and its place, the processor and Numba's version. Of several processes that start at once
each compiles other kernels, and waits for those of the others, for PATIENCE seconds at most: one of
them may have been stopped. Where the folder cannot be written, every process compiles for
itself."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba

from drnn_bench.kernels.registers import FEATURES, config

PATIENCE = 60.0  # seconds that one process waits for another to compile
TICK = 0.05  # seconds between two looks whether it has
# With Python's errors, every division tests for zero, and LLVM then divides number by number.
OPTIONS = {"error_model": "numpy", "nogil": True}
inline = numba.njit(**OPTIONS, forceinline=True)
# Without False it would be copied into every kernel, as `inline` functions that call it are.
helper = numba.njit(**OPTIONS, forceinline=False)


def _folder() -> Path | None:
    """The folder for this source on this machine; None where it cannot be made."""
    here = Path(__file__).resolve().parent
    mark = hashlib.sha256(str(here).encode())
    for source in sorted(here.glob("*.py")):
        mark.update(source.read_bytes())
    processor = config.CPU_NAME or llvm.get_host_cpu_name()
    mark.update(f"{numba.__version__} {processor} {FEATURES}".encode())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = os.environ.get("NUMBA_CACHE_DIR") or Path(home) / "drnn_bench"
    folder = Path(root) / f"kernels-{mark.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "writable").touch()
    except OSError:
        return None
    return folder


FOLDER = _folder()


def kernel(function: Callable) -> Any:
    """Decorates an entry point, which `prepare` compiles. The compiled code is kept in FOLDER."""
    if FOLDER is None:
        return helper(function)
    before, config.CACHE_DIR = config.CACHE_DIR, str(FOLDER)
    try:
        return numba.njit(**OPTIONS, cache=True)(function)
    finally:
        config.CACHE_DIR = before


def is_compiled(name: str) -> bool:
    """Whether this machine has these kernels compiled."""
    return FOLDER is not None and (FOLDER / f"{name}.done").exists()


def prepare(name: str, signatures: dict) -> None:
    """Compiles each kernel for its signature, or reads what this machine compiled before. What
    another process is compiling is left to it, so processes that start at once share the work."""
    marks = {kernel: FOLDER and FOLDER / f"{kernel.__name__}.done" for kernel in signatures}
    if not all(mark and mark.exists() for mark in marks.values()):
        again = "" if FOLDER else "; nowhere to keep it, so each process will"
        print(f"compiling the fused {name} kernels, once{again}", file=sys.stderr)
    owed, waited = dict(signatures), 0.0
    while owed:
        for kernel, signature in [*owed.items()]:
            mark = marks[kernel]
            if mark is None or mark.exists():
                _compile(kernel, signature)
            elif not _compiled_alone(kernel, signature, mark):
                if waited < PATIENCE:
                    continue
                _compile(kernel, signature)
            del owed[kernel]
        if owed:
            time.sleep(TICK)
            waited += TICK
    if FOLDER:
        (FOLDER / f"{name}.done").touch()


def _compiled_alone(kernel: Any, signature: Any, mark: Path) -> bool:
    """Compiles a kernel and marks it so; False where another process is compiling it, if the
    system can lock files."""
    try:
        import fcntl
    except ImportError:
        fcntl = None
    with mark.with_suffix(".lock").open("a") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        _compile(kernel, signature)
        mark.touch()
    return True


def _compile(kernel: Any, signature: Any) -> None:
    kernel.compile(signature)
    kernel.disable_compile()
