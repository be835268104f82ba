"""The ways a command ends badly without being a bug.

Anything else that escapes is ours, and shows its traceback.
"""

import re

_ALLOCATION = re.compile(
    r"(?:allocate|malloc of size|realloc from size \d+ to) (\d[\d.]*) ?(bytes|[KMGTPE]i?B)?", re.I
)
_TOO_MUCH = ("out of memory", "can't allocate memory", "bad_alloc", "Cannot allocate memory",
             "Storage size calculation overflowed", "array is too big")  # fmt: skip


class UserError(ValueError):
    """The user's input is wrong: one line saying what, where and what would be right. Exit 2."""


class JobError(RuntimeError):
    """The input was right and the job still failed (a database gone, a disk full). Exit 1."""


class Interrupted(Exception):
    """A signal ended the command: what is saved, and how to go on. Exit 130 for Ctrl-C, 143 for
    TERM, 129 for HUP."""

    def __init__(self, line: str, code: int = 130):
        super().__init__(line)
        self.code = code


def nearest(name: str, known: list[str]) -> str:
    """The tail of an error about an unknown name: a suggestion, then everything known."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def one_line(error: BaseException | str) -> str:
    """What another library says, as part of a line of ours."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def out_of_memory(error: BaseException) -> str | None:
    """`not enough memory: 3.1 GiB wanted` where an error of Python, NumPy, torch or Arrow says so;
    None where it says something else."""
    message = str(error)
    if not isinstance(error, MemoryError) and not any(words in message for words in _TOO_MUCH):
        return None
    match = _ALLOCATION.search(message)
    if not match:
        endless = "overflowed" in message or "too big" in message
        return "not enough memory" + (": more than any machine has wanted" if endless else "")
    number, unit = match[1].rstrip("."), match[2]
    if unit not in (None, "bytes"):
        return f"not enough memory: {number} {unit} wanted"
    size, units = float(number), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"not enough memory: {size:.3g} {units[0]} wanted"
