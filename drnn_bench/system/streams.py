"""Standard output and error that cannot break a command.

A run of hours must not die because nobody reads its lines any more. So a stream that can no longer
be written (a closed pipe, a full disk, a descriptor that the caller closed) swallows what follows,
and the command learns of it once, at its end:

    a closed pipe (`bench ls tasks | head -1`)  exit code as if all had been read
    anything else                               one line on standard error and exit code 1

Characters that an encoding lacks are written as ASCII that looks alike, or as their number.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_ALIKE = {"–": "-", "−": "-", "±": "+-", "µ": "u", "∞": "inf", "↑": "^", "↓": "v", "…": "...",
          "≤": "<=", "≥": ">=", "×": "x", "’": "'"}  # fmt: skip


class _Raw(io.RawIOBase):
    """Writes to a descriptor until that fails. Then it keeps the failure and discards the rest."""

    def __init__(self, descriptor: int, failure: OSError | None):
        self._descriptor, self.failure = descriptor, failure

    def write(self, data) -> int:
        while self.failure is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # whoever shares the pipe made it so
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.failure = error
        return len(data)

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True


def guard() -> None:
    """Replaces the process's own streams by such ones. A stream that a test or a notebook has put
    there stays."""
    codecs.register_error("drnn_bench", _alike)
    closed = _open_closed()
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue
        gone = OSError(errno.EBADF, "it is closed") if descriptor in closed else None
        encoding = "utf-8" if stream is None else stream.encoding
        fresh = io.TextIOWrapper(
            io.BufferedWriter(_Raw(descriptor, gone)),
            encoding=encoding,
            errors="drnn_bench",
            line_buffering=name == "stderr" or os.isatty(descriptor),
        )
        setattr(sys, name, fresh)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  it lasts as long as the process


def renews(console: Console) -> bool:
    """Whether a line can be renewed there in place: at a terminal that moves its cursor, which one
    with TERM=dumb does not. A file is none, whatever FORCE_COLOR says."""
    return console.is_interactive and console.file.isatty()


def lost() -> str | None:
    """A line on why printed output is lost; None where it arrived or its reader closed the pipe."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _Raw) else None
    if failure is None or failure.errno in (errno.EPIPE, errno.ECONNRESET):
        return None
    return f"standard output cannot be written ({failure.strerror})"


def _open_closed() -> set[int]:
    """Opens the null device on descriptors 0 to 2 that the caller closed, and returns these.
    Otherwise the next file, perhaps a database, would get the number and all printed output."""
    closed = set()
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(descriptor)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    return closed


def _alike(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    known = [_ALIKE.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text]
    return "".join(known), error.end
