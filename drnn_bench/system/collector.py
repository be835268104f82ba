"""Python's collector of cycles, told that imports leave no garbage.

An import makes hundreds of thousands of objects that stay, and the collector searches all of them
many times meanwhile: an eighth of the time that torch takes to import.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


def collect_rarely() -> None:
    """For a command, which imports when it needs to: a collection comes after 100,000 new objects
    in place of 700 (2,000 since Python 3.12), and none as it ends: the last one took half a second
    after torch had been imported."""
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)


@contextmanager
def importing() -> Iterator[None]:
    """For a process that trains. No collection comes meanwhile, nor ever looks at these objects."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
