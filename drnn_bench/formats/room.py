"""How much memory data may take, checked before it is taken.

A small file may promise, or unpack to, more than any machine holds. What is read or unpacked may
take half of the memory that is free, for it is needed once more as the arrays of a task; and what
is compressed may unpack to a hundred times its size, or 256 MiB if that is more.
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
PER_SEQUENCE = 500  # bytes that a sequence takes beside its numbers: its name and its views

CGROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes that this process can still take; None where the system does not say."""
    known = [free for free in (_machine(), _cgroup(), _own_limit()) if free is not None]
    return max(0, min(known)) if known else None


def check_room(wanted: int, what: object, instead: str) -> None:
    """Refuses to read `wanted` bytes where that is more than half of what is free."""
    free = free_memory()
    if free is not None and wanted > free // 2:
        raise UserError(
            f"{what}: takes {size_text(wanted)} of memory, and half of what is free here is "
            f"{size_text(free // 2)}; {instead}"
        )


def check_count(sequences: int, what: object) -> None:
    """Refuses more sequences than memory has room for, however short they are."""
    check_room(sequences * PER_SEQUENCE, f"{what}: {sequences:,} sequences", "take fewer of them")


def check_unpacked(wanted: int, packed: int, what: object, instead: str) -> None:
    """Refuses to unpack `packed` bytes to `wanted` where that is too much."""
    most = max(SMALL, MOST_PACKED * packed)
    if wanted > most:
        raise UserError(
            f"{what}: unpacks to {size_text(wanted)}, and at most {size_text(most)} is unpacked "
            f"({MOST_PACKED} times its size, or {size_text(SMALL)}); {instead}"
        )
    check_room(wanted, what, instead)


def gunzipped(raw: bytes, what: object) -> bytes:
    """What gzip packed. Raises UserError where it is too much, and as gzip does."""
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
def said_if_none_is_left(what: object) -> Iterator[None]:
    """Running out of memory is one line, with the size that was wanted if numpy tells it."""
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
    """What the container or the batch system leaves; a cache of files makes room when needed."""
    words = _words("/proc/self/cgroup")
    ours = CGROUPS / next((w[3:].lstrip("/") for w in words if w.startswith("0::")), "")
    inside = [folder for folder in (ours, *ours.parents) if folder.is_relative_to(CGROUPS)]
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
    """The first number in a file of the system's, or the one that follows a word."""
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
