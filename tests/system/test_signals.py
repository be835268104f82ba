"""What a signal ends as, whoever raises it."""

from __future__ import annotations

import os
import signal

import pytest

from drnn_bench.system.signals import Stopped, handled


def interrupted(signum: int | None) -> None:
    """As Ray does where a handler raises while it waits."""
    with handled() as signals, signals.deferred():
        if signum is not None:
            os.kill(os.getpid(), signum)
        raise KeyboardInterrupt


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupt_that_a_library_raises_for_a_signal_keeps_the_signal(signum, code):
    with pytest.raises(Stopped) as stopped:
        interrupted(signum)
    assert stopped.value.exit_code == code


def test_an_interrupt_without_a_signal_is_left_as_it_is():
    with pytest.raises(KeyboardInterrupt) as interrupt:
        interrupted(None)
    assert not isinstance(interrupt.value, Stopped)
