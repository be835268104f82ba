"""Which kernel is asked for, how many threads it may use, and which kernels have run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from drnn_bench.errors import UserError, nearest

NAMES = ("auto", "reference", "torch", "fused")
# What is compiled beside the cells' kernels.
CONVOLUTION, DIAGONAL, GATED, SELECTIVE = "convolution", "diagonal", "gated", "selective"

_forced: list[str] = []
_threads: list[int] = []
_used: set[str] = set()


def wanted() -> str:
    """The kernel that `forced` or DRNN_BENCH_KERNEL names; `auto` without either."""
    return _forced[-1] if _forced else _known(os.environ.get("DRNN_BENCH_KERNEL", "auto"))


def note_use(name: str) -> None:
    """Notes that a kernel has run."""
    _used.add(name)


@contextlib.contextmanager
def forced(name: str) -> Iterator[None]:
    """Within it, the kernel is this one; `auto` decides by device, dtype and shape. Raises
    UserError for an unknown name."""
    _forced.append(_known(name))
    try:
        yield
    finally:
        _forced.pop()


@contextlib.contextmanager
def shared(count: int) -> Iterator[None]:
    """Within it, so many threads share the sequences of a call of the fused kernels. Torch's own
    number of threads stays as it is, so that every result has the same bits."""
    _threads.append(count)
    try:
        yield
    finally:
        _threads.pop()


def threads() -> int:
    """How many threads may share a call: torch's number, unless `shared` says otherwise."""
    return _threads[-1] if _threads else torch.get_num_threads()


def used() -> str:
    """The kernels that have run since this was last asked, for the record: `fused+torch`."""
    names = "+".join(sorted(_used))
    _used.clear()
    return names


def _known(name: str) -> str:
    if name not in NAMES:
        raise UserError(f"unknown kernel {name!r}: {nearest(name, list(NAMES))}")
    return name
