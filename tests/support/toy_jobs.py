"""Jobs that compute nothing, to see how they are carried. Trainers import this module too."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Count:
    """Yields 1 to n, noting each in a file before; returns the sum."""

    n: int
    seconds: float = 0.0
    note: Path | None = None

    def run(self, shared):
        try:
            for i in range(1, self.n + 1):
                time.sleep(self.seconds)
                if self.note is not None:
                    with self.note.open("a") as file:
                        file.write(f"{i}\n")
                yield i
        finally:
            if self.note is not None:
                with self.note.open("a") as file:
                    file.write("closed\n")
        return sum(range(self.n + 1))


@dataclass(frozen=True)
class Fill:
    """Holds 300 MB in pieces of three sizes, then frees all but the piece it took last."""

    def run(self, shared):
        held = [bytearray(b"x" * size) for size in [1 << 20] * 60 + [20 << 20] * 6 + [60 << 20] * 2]
        last = bytearray(b"x" * 1000)
        held.clear()
        yield len(last)


@dataclass(frozen=True)
class Shared:
    def run(self, shared):
        yield from ()
        return shared


@dataclass(frozen=True)
class Raises:
    error: str = "ValueError"

    def run(self, shared):
        yield 1
        raise {"ValueError": ValueError("no\nsuch"), "SystemExit": SystemExit(3),
               "KeyboardInterrupt": KeyboardInterrupt()}[self.error]  # fmt: skip


@dataclass(frozen=True)
class Fails:
    """Raises in its middle, until the file exists `times` lines long."""

    note: Path
    times: int

    def run(self, shared):
        yield "begun"
        failed = self.note.read_text().count("\n") if self.note.exists() else 0
        if failed < self.times:
            with self.note.open("a") as file:
                file.write("failed\n")
            raise ValueError("not yet")
        return "survived"


@dataclass(frozen=True)
class Dies:
    """Its process is killed in its middle, until the file exists `times` lines long."""

    note: Path
    times: int = 1

    def run(self, shared):
        yield "begun"
        died = self.note.read_text().count("\n") if self.note.exists() else 0
        if died < self.times:
            with self.note.open("a") as file:
                file.write("died\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return "survived"


@dataclass(frozen=True)
class Hangs:
    def run(self, shared):
        yield "begun"
        time.sleep(600)


@dataclass(frozen=True)
class Where:
    def run(self, shared):
        yield os.getpid()
        time.sleep(0.05)
        return os.getpid()


@dataclass(frozen=True)
class Echo:
    data: bytes

    def run(self, shared):
        print("what a library prints")
        print("and its errors", file=sys.stderr)
        yield self.data
        return self.data[::-1]


class Damaged:
    """Shared data that has suffered on its way."""

    def verify(self):
        raise RuntimeError("it arrived damaged")
