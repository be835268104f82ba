"""What passes between the driver and its trainers.

A trainer answers three requests: start(job), advance, drop. It does one job at a time and does
nothing until it is asked, so the driver stops a job by not advancing it.

    start    takes a job; no answer
    advance  runs the job to its next yield or to its end; the answer is one event
    drop     gives the job up; no answer
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol


class Job(Protocol):
    """A piece of work, picklable. `shared` is what all jobs of an executor have in common.

    `run` yields what the driver should see on the way and returns the result.
    """

    def run(self, shared: Any, /) -> Generator[Any, None, Any]: ...


@dataclass(frozen=True)
class Note:
    """A line for the user, which a job may yield: what it does before its first result."""

    line: str


@dataclass(frozen=True)
class Yielded:
    """The job has come to a yield and waits to be advanced."""

    value: Any


@dataclass(frozen=True)
class Returned:
    """The job has ended."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The job has raised.

    known  `reason` says all of it, and `trace` is of no use
    final  another try would end the same way: a UserError or a JobError
    """

    reason: str  # one line
    trace: str
    known: bool = False
    final: bool = False


@dataclass(frozen=True)
class Lost:
    """The trainer is gone, and its job with it. Another trainer takes its place."""

    reason: str


Event = Yielded | Returned | Failed | Lost


class Executor(Protocol):
    """Trainers that take jobs. A ticket stands for a job that was started and has not ended."""

    @property
    def size(self) -> int:
        """How many jobs it can do side by side."""
        ...

    @property
    def free(self) -> int:
        """How many jobs may be started now."""
        ...

    def start(self, job: Job) -> int:
        """Gives a job to a free trainer and advances it once. Returns its ticket."""
        ...

    def advance(self, ticket: int) -> None:
        """Lets a job that has yielded go on."""

    def drop(self, ticket: int) -> None:
        """Gives up a job that has yielded. Its ticket ends here."""

    def end(self, ticket: int, reason: str) -> None:
        """Ends the trainer of a job that hangs. The job is then Lost for this reason."""

    def wait(self, seconds: float) -> list[tuple[int | None, Event]]:
        """What happened, with the tickets; empty where nothing did for so long. A trainer that is
        Lost while it has no job has no ticket."""
        ...

    def close(self) -> None:
        """Ends all trainers at once, whatever they do."""
