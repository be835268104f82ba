"""The ways a command ends badly without being a bug.

Anything else that escapes is ours, and shows its traceback.
"""


class UserError(ValueError):
    """The user's input is wrong: one line saying what, where and what would be right. Exit 2."""


class JobError(RuntimeError):
    """The input was right and the job still failed (a database gone, a disk full). Exit 1."""


class Interrupted(Exception):
    """Ctrl-C, with what is saved and how to go on. Exit 130."""


def nearest(name: str, known: list[str]) -> str:
    """The tail of an error about an unknown name: a suggestion, then everything known."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known)}"


def one_line(error: Exception) -> str:
    """What another library says, as part of a line of ours."""
    return " ".join(str(error).split())[:300] or type(error).__name__
