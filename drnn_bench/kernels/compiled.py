"""Numba, set up for the kernels: how they are compiled, where that is kept, and who does it.

Compiling takes seconds and is done once per machine: the result is kept in a folder of the user's
cache (XDG_CACHE_HOME, or NUMBA_CACHE_DIR where it is set), named after the kernels' source, its
place, the processor and Numba's version. Of several workers that start at once, one compiles and
the others wait for it, though not for ever: it may have been stopped. Where nothing can be
written, every process compiles for itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import llvmlite.binding as llvm
import numba

from drnn_bench.kernels.registers import FEATURES

PATIENCE = 60.0  # seconds that one process waits for another to compile
# Without "numpy" errors, a division carries a test for zero that keeps it from being a vector's.
OPTIONS = {"error_model": "numpy", "nogil": True}
inline = numba.njit(**OPTIONS, forceinline=True)
helper = numba.njit(**OPTIONS)


def _folder() -> Path | None:
    """The folder for this very source on this very machine; None if there can be none."""
    here = Path(__file__).resolve().parent
    mark = hashlib.sha256(str(here).encode())
    for source in sorted(here.glob("*.py")):
        mark.update(source.read_bytes())
    processor = numba.config.CPU_NAME or llvm.get_host_cpu_name()
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


def kernel(function):
    """An entry point: compiled when `prepare` says so, and kept."""
    if FOLDER is None:
        return helper(function)
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(FOLDER)
    try:
        return numba.njit(**OPTIONS, cache=True)(function)
    finally:
        numba.config.CACHE_DIR = before


def is_compiled(name: str) -> bool:
    """Whether this machine keeps these kernels compiled."""
    return FOLDER is not None and (FOLDER / f"{name}.done").exists()


def prepare(name: str, signatures: dict) -> None:
    """Compiles kernels for one signature each, or reads what this machine compiled before."""
    done = FOLDER and FOLDER / f"{name}.done"
    if done and done.exists():
        _compile(signatures)
        return
    with _alone():
        if not done or not done.exists():
            kept = "" if done else "; nowhere to keep it, so each process will"
            print(f"compiling the fused {name} kernels, once{kept}", file=sys.stderr)
        _compile(signatures)
        if done:
            done.touch()


def _compile(signatures: dict) -> None:
    for one, signature in signatures.items():
        one.compile(signature)
        one.disable_compile()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process at a time, where the system can lock files; after PATIENCE, several."""
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
