"""How Numba compiles the kernels, where the result is kept, and which process does it.

Compiling takes seconds and is done once per machine. The result is kept in a folder of the user's
cache (XDG_CACHE_HOME, or NUMBA_CACHE_DIR where it is set), whose name depends on the kernels'
source and its place, the processor and Numba's version. Of several processes that start at once,
one compiles and the others wait for it, for PATIENCE seconds at most. Where the folder cannot be
written, every process compiles for itself."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba

from drnn_bench.kernels.registers import FEATURES, config

PATIENCE = 60.0  # seconds that one process waits for another to compile
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
        (folder / "lock").touch()
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
    """Compiles each kernel for its signature, or reads what this machine compiled before."""
    done = FOLDER and FOLDER / f"{name}.done"
    if done and done.exists():
        _compile(signatures)
        return
    with _alone():
        if not done or not done.exists():
            again = "" if done else "; nowhere to keep it, so each process will"
            print(f"compiling the fused {name} kernels, once{again}", file=sys.stderr)
        _compile(signatures)
        if done:
            done.touch()


def _compile(signatures: dict) -> None:
    for function, signature in signatures.items():
        function.compile(signature)
        function.disable_compile()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Lets one process in at a time, where the system can lock files. Who has waited PATIENCE
    seconds goes on without the lock: its owner may have been stopped."""
    try:
        import fcntl
    except ImportError:
        fcntl = None
    if FOLDER is None or fcntl is None:
        yield
        return
    with (FOLDER / "lock").open("r+") as lock:
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.1)
        yield
