"""Runs code that is not ours: what it prints, what its errors say, how Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import threading
from collections.abc import Iterator

from drnn_bench.system.escape import plain


class Stopped(KeyboardInterrupt):
    """Ctrl-C; any other KeyboardInterrupt was raised by the code that ran."""


@contextlib.contextmanager
def running(where: str) -> Iterator[None]:
    """Around code that is not ours: what it prints goes to standard error, each line after `where`,
    so that none of it stands in a table or in JSON of ours. Ctrl-C raises Stopped."""
    printed = io.StringIO()
    in_main = threading.current_thread() is threading.main_thread()

    def stop(*_: object) -> None:
        raise Stopped

    # None where a handler was set from C: it could not be set again.
    handler = signal.getsignal(signal.SIGINT) if in_main else None
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(sys.stderr):
            yield
    finally:
        if handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, handler)
        for line in printed.getvalue().splitlines():
            print(plain(f"{where} prints: {line}"), file=sys.stderr)


def error_text(error: BaseException) -> str:
    """An error's type and message on one line."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # raised by an exception class of the plug-in
        message = "it does not say why"
    return " ".join(f"{type(error).__name__}: {message}".split())
