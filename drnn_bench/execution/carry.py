"""A list of jobs, each carried to its end: for everything that needs no decision on the way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from drnn_bench.errors import JobError
from drnn_bench.execution.job import Event, Executor, Failed, Job, Lost, Note, Returned, Yielded

LOSSES = 10  # trainers that a job may lose
TICK = 0.5  # seconds


def events(executor: Executor, say: Callable[[str], None]) -> Iterator[tuple[int, Event]]:
    """What happens within a tick and needs an answer, with the tickets. Notes and lost trainers
    are said."""
    for ticket, event in executor.wait(TICK):
        match event:
            case Yielded(Note(line)):
                say(line)
                executor.advance(ticket)
                continue
            case Lost(reason):
                say(f"a trainer died ({reason}); its work runs again")
        yield ticket, event


def carry(
    executor: Executor,
    jobs: Sequence[Job],
    *,
    say: Callable[[str], None] = lambda line: None,
    again: Callable[[Job], Job] = lambda job: job,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Job, Any]]:
    """Yields (job, value) for every value that a job yields, and (job, Returned) at its end.

    `again` gives the job that takes the place of one whose trainer was lost. `tick` is called at
    least every half a second. Raises JobError where a job fails, or loses its tenth trainer.
    """
    waiting = deque(enumerate(jobs))
    running: dict[int, tuple[int, Job]] = {}  # by ticket
    losses: Counter[int] = Counter()  # by the job's number
    while waiting or running:
        while waiting and executor.free:
            number, job = waiting.popleft()
            running[executor.start(job)] = number, job
        for ticket, event in events(executor, say):
            number, job = running[ticket]
            match event:
                case Yielded(value):
                    yield job, value
                    executor.advance(ticket)
                    continue
                case Returned():
                    yield job, event
                case Lost(reason):
                    losses[number] += 1
                    if losses[number] >= LOSSES:
                        raise JobError(f"{LOSSES} trainers died of one job; the last: {reason}")
                    waiting.append((number, again(job)))
                case Failed(reason, trace, known):
                    raise JobError(reason) if known else RuntimeError(f"a job failed:\n{trace}")
            del running[ticket]
        tick()


def finish(job: Job, shared: Any = None) -> Any:
    """A job's result, in this process."""
    return drain(job.run(shared))


def drain(running: Generator[Any, None, Any]) -> Any:
    """What a generator returns; what it yields is thrown away."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value
