"""Running code that somebody else wrote: what it prints, how it fails, how Ctrl-C ends it."""

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
    """Around foreign code: what it prints goes to standard error, line by line, with where it comes
    from, so that no table or JSON of ours has it in its midst."""
    printed = io.StringIO()
    ours = threading.current_thread() is threading.main_thread()

    def stop(*_: object) -> None:
        raise Stopped

    # None: somebody has set a handler from C, which we could not put back.
    before = signal.getsignal(signal.SIGINT) if ours else None
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(sys.stderr):
            yield
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)
        for line in printed.getvalue().splitlines():
            print(plain(f"{where} prints: {line}"), file=sys.stderr)


def in_words(error: BaseException) -> str:
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # an exception of the plug-in's own
        said = "it does not say why"
    return " ".join(f"{type(error).__name__}: {said}".split())
