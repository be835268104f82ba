"""A list of jobs, each carried to its end: for everything that needs no decision on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from drnn_bench.errors import JobError
from drnn_bench.execution.job import (
    Executor,
    Failed,
    Job,
    Lost,
    Note,
    Returned,
    Yielded,
)

LOSSES = 10  # trainers that a job may lose
TICK = 0.5  # seconds


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
    waiting, running, losses = list(enumerate(jobs)), {}, [0] * len(jobs)
    while waiting or running:
        while waiting and executor.free:
            number, job = waiting.pop(0)
            running[executor.start(job)] = number, job
        events = executor.wait(TICK)
        tick()
        for ticket, event in events:
            number, job = running[ticket]
            match event:
                case Yielded(Note(line)):
                    say(line)
                    executor.advance(ticket)
                case Yielded(value):
                    yield job, value
                    executor.advance(ticket)
                case Returned():
                    del running[ticket]
                    yield job, event
                case Lost(reason):
                    del running[ticket]
                    losses[number] += 1
                    if losses[number] >= LOSSES:
                        raise JobError(f"{LOSSES} trainers died of one job; the last: {reason}")
                    say(f"a trainer died ({reason}); its work begins again elsewhere")
                    waiting.append((number, again(job)))
                case Failed(reason, trace):
                    if not event.known:
                        raise RuntimeError(f"a job failed:\n{trace}")
                    raise JobError(reason)


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
