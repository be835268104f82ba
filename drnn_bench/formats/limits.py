"""How much memory data may take, checked before the memory is allocated.

A small file may claim, or unpack to, more than any machine holds. Data may take half of the free
memory, since the arrays of the task take as much again. A compressed file may unpack to a hundred
times its size, or to 256 MiB if that is more.
"""

from __future__ import annotations

import gzip
import io
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drnn_bench.errors import JobError, UserError, out_of_memory

MOST_PACKED = 100  # times the size of a compressed file
SMALL = 256 * 2**20  # bytes: so much may be unpacked of any file
CHUNK = 2**20  # bytes
LITTLE = 2**20  # bytes: a folder of thousands of small files asks the system for none of them
PER_SEQUENCE = 500  # bytes that a sequence takes beside its numbers: its name and its views

CGROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes that this process can still allocate; None where the system does not say."""
    known = [free for free in (_machine(), _cgroup(), _own_limit()) if free is not None]
    return max(0, min(known)) if known else None


def check_memory(needed: int, what: object, instead: str) -> None:
    """Raises UserError where `needed` bytes are more than half of the free memory, and not LITTLE.
    `what` is read, `instead` is what the user can do."""
    free = free_memory() if needed > LITTLE else None
    if free is not None and needed > free // 2:
        raise UserError(
            f"{what}: takes {size_text(needed)} of memory, and half of what is free here is "
            f"{size_text(free // 2)}; {instead}"
        )


def check_count(sequences: int, what: object) -> None:
    """Raises UserError where so many sequences, however short, do not fit into memory."""
    check_memory(sequences * PER_SEQUENCE, f"{what}: {sequences:,} sequences", "take fewer of them")


def check_unpacked(needed: int, packed: int, what: object, instead: str) -> None:
    """Raises UserError where `packed` bytes may not unpack to `needed` bytes."""
    most = max(SMALL, MOST_PACKED * packed)
    if needed > most:
        raise UserError(
            f"{what}: unpacks to {size_text(needed)}, and at most {size_text(most)} is unpacked "
            f"({MOST_PACKED} times its size, or {size_text(SMALL)}); {instead}"
        )
    check_memory(needed, what, instead)


def gunzipped(raw: bytes, what: object) -> bytes:
    """The content of a gzip file. Raises UserError where it is too large, and what gzip raises."""
    most = max(SMALL, MOST_PACKED * len(raw))
    why = f"{MOST_PACKED} times its size, or {size_text(SMALL)}"
    free = free_memory()
    if free is not None and free // 2 < most:
        most, why = free // 2, "half of the memory that is free"
    parts, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
        while part := file.read(CHUNK):
            size += len(part)
            if size > most:
                raise UserError(
                    f"{what}: unpacks to more than {size_text(most)} ({why}); if that is right, "
                    f"unpack it first (gunzip)"
                )
            parts.append(part)
    return b"".join(parts)


@contextmanager
def naming_memory_errors(what: object) -> Iterator[None]:
    """A MemoryError becomes a JobError of one line, with the size needed where numpy names it."""
    try:
        yield
    except MemoryError as error:
        free = free_memory()
        there = "" if free is None else f"; {size_text(free)} is free here"
        raise JobError(f"{what}: {out_of_memory(error)}{there}") from None


def size_text(size: int) -> str:
    """12.3 GiB"""
    value, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:,.0f} {units[0]}" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"


def _machine() -> int | None:
    meminfo = _number("/proc/meminfo", "MemAvailable:")
    if meminfo is not None:
        return meminfo * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _cgroup() -> int | None:
    """What the container or the batch system leaves; a cache of files can be dropped."""
    words = _words("/proc/self/cgroup")
    own_group = CGROUPS / next((w[3:].lstrip("/") for w in words if w.startswith("0::")), "")
    inside = [
        folder for folder in (own_group, *own_group.parents) if folder.is_relative_to(CGROUPS)
    ]
    known = [_left(folder, "memory.max", "memory.current", "inactive_file") for folder in inside]
    old = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")  # version 1
    known = [left for left in (*known, _left(CGROUPS / "memory", *old)) if left is not None]
    return min(known, default=None)


def _left(folder: Path, limit: str, used: str, cache: str) -> int | None:
    most, taken = _number(folder / limit), _number(folder / used)
    if most is None or taken is None:
        return None
    return most - taken + (_number(folder / "memory.stat", cache) or 0)


def _own_limit() -> int | None:
    """What `ulimit -v` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _number("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or pages is None:
        return None
    return limit - pages * os.sysconf("SC_PAGE_SIZE")


def _number(path: str | Path, after: str | None = None) -> int | None:
    """The first number in a file of the system, or the number after the word `after`."""
    words = _words(path)
    try:
        return int(words[words.index(after) + 1 if after else 0])
    except (ValueError, IndexError):
        return None


def _words(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return []
