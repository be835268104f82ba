"""Whether the prepared arrays of a task are still those that were written.

Two checks. The quick one compares each file with a manifest beside the arrays: size, time of the
last change, and a hash over a few blocks of it. It takes milliseconds and runs whenever the folder
is opened. The full one hashes every array and compares the result with the task's data hash. It
runs when a command prepares the data and before a finalist is trained, once a process as long as
no file changes.

A folder without a manifest (of an earlier version, or one that was copied to another time) is
checked in full, and then gets one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drnn_bench.system.files import write_whole
from drnn_bench.tasks.task import Arrays, data_hash

MANIFEST = "manifest.json"
BLOCK, BLOCKS = 4096, 32  # bytes, and how many blocks of a file the quick hash reads

# Folders whose arrays were hashed in this process: folder -> (data hash, state of its files).
_hashed: dict[str, tuple[str, tuple]] = {}


def write_manifest(folder: Path) -> None:
    """Notes how the files are now. A folder that cannot be written goes without a manifest."""
    text = json.dumps({"files": _described(folder)})
    with contextlib.suppress(OSError):
        write_whole(folder / MANIFEST, text.encode())


def quick_fault(folder: Path, arrays: Callable[[], Arrays], expected: str) -> str | None:
    """What is wrong with the arrays of a folder, or None. Where they are not as the manifest says,
    the full check decides."""
    try:
        known = json.loads((folder / MANIFEST).read_bytes())["files"]
        if known == _described(folder):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        known = None  # no manifest that can be read
    wrong = full_fault(folder, arrays, expected)
    return wrong and (_difference(folder, known) or wrong)


def full_fault(folder: Path, arrays: Callable[[], Arrays], expected: str) -> str | None:
    """The same, after every array was hashed: once in a process as long as no file changes."""
    try:
        before = _state(folder)
        if _hashed.get(str(folder)) == (expected, before):
            return None
        actual = data_hash(arrays())
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except (ValueError, EOFError, KeyError, TypeError):  # no .npy file, or one that was cut
        return "an array cannot be read"
    if actual != expected:
        return f"its arrays have the hash {actual}, not {expected}"
    _hashed[str(folder)] = (expected, before)
    if not _has_manifest(folder):
        write_manifest(folder)
    return None


def _state(folder: Path) -> tuple:
    """What changes when any array of a folder does."""
    return tuple(
        (path.name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino)
        for path in sorted(folder.glob("*.npy"))
        for s in [path.stat()]
    )


def _described(folder: Path) -> dict[str, Any]:
    """The manifest's entries for the files as they are."""
    return {
        path.name: {
            "size": path.stat().st_size,
            "mtime_ns": path.stat().st_mtime_ns,
            "blocks": _blocks_hash(path),
        }
        for path in sorted(folder.glob("*.npy"))
    }


def _blocks_hash(path: Path) -> str:
    """Over the first block of a file, its last, and others spread evenly between them."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        last = max(0, os.fstat(file.fileno()).st_size - BLOCK)
        for start in sorted({last * i // (BLOCKS - 1) for i in range(BLOCKS)}):
            file.seek(start)
            digest.update(file.read(BLOCK))
    return digest.hexdigest()[:16]


def _has_manifest(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        return json.loads((folder / MANIFEST).read_bytes())["files"] == _described(folder)
    return False


def _difference(folder: Path, known: Any) -> str | None:
    """The first file that is not as a manifest says, in words."""
    if not isinstance(known, dict):
        return None
    actual = _described(folder)
    for name in sorted(known.keys() | actual.keys()):
        if name not in actual:
            return f"{name} is missing"
        if name not in known:
            return f"{name} was added"
        if actual[name] != known[name]:
            return f"{name} was changed"
    return None
