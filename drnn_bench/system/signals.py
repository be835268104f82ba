"""Signals that end a run: INT from a terminal, TERM from a batch system, HUP from a lost terminal.

The first one stops the run in good order: at once where that is safe, else when the driver next
asks, at the latest after FORCE seconds. A second one ends the process at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

FORCE = 3  # seconds
_WORDS: dict[int, str] = {signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


class Stopped(KeyboardInterrupt):
    """A signal asked the run to end. A KeyboardInterrupt, so that no handler of errors takes it."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        return 128 + self.signum

    @property
    def word(self) -> str:
        return _WORDS.get(self.signum, "stopped")


class Signals:
    """The first signal that came, and whether one may interrupt now."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferred = 0
        self._handlers: dict[int, Callable[[int, object], None]] = {}

    def install(self) -> None:
        """Puts the handlers in again, where a library has put in others."""
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)

    def check(self) -> None:
        """Raises Stopped where a signal has come."""
        if self.received is not None:
            raise Stopped(self.received)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Within it, a first signal waits for `check`."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1

    def _arrive(self, signum: int, frame: object) -> None:
        if self.received is not None:
            os._exit(128 + signum)
        self.received = signum
        if not self._deferred:
            raise Stopped(signum)
        signal.setitimer(signal.ITIMER_REAL, FORCE)

    def _force(self, signum: int, frame: object) -> None:
        raise Stopped(self.received or signum)


@contextlib.contextmanager
def handled() -> Iterator[Signals]:
    """Within it, signals are ours. HUP stays ignored where it was: `nohup` asked for that."""
    signals = Signals()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signals._handlers[signum] = signals._arrive
    signals._handlers[signal.SIGALRM] = signals._force
    before = {signum: signal.getsignal(signum) for signum in signals._handlers}
    try:
        signals.install()
        yield signals
    except KeyboardInterrupt as error:
        # Ray turns what is raised while it waits into a KeyboardInterrupt of its own.
        if isinstance(error, Stopped) or signals.received is None:
            raise
        raise Stopped(signals.received) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for signum, handler in before.items():
            signal.signal(signum, handler)
