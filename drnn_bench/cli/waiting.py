"""What is said of a wait: a line that is renewed at a terminal, and a line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drnn_bench.system.escape import rich
from drnn_bench.system.streams import renews

if TYPE_CHECKING:
    from rich.console import Console

EVERY = 60.0  # seconds between two lines where none is renewed


@contextmanager
def waiting(
    console: Console, say: Callable[[str], None], first: str
) -> Iterator[Callable[[str], None]]:
    """Gives a function that takes the line of what is done now. `say` writes a line for good."""
    if renews(console):
        with console.status(rich(first), spinner="line") as status:
            yield lambda line: status.update(rich(line))
        return
    said = time.monotonic()

    def now(line: str) -> None:
        nonlocal said
        if time.monotonic() - said > EVERY:
            say(line)
            said = time.monotonic()

    yield now
