"""A list of jobs, each carried to its end: for everything that needs no decision on the way."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from drnn_bench.errors import JobError
from drnn_bench.execution.job import Event, Executor, Failed, Job, Lost, Note, Returned, Yielded

LOSSES = 10  # trainers that a job may lose
RETRIES = 2  # of a job that raises, where one failure does not end them all
TICK = 0.5  # seconds


def events(executor: Executor, say: Callable[[str], None]) -> Iterator[tuple[int, Event]]:
    """What happens within a tick and needs an answer, with the tickets. Notes and lost trainers
    are said."""
    for ticket, event in executor.wait(TICK):
        match event:
            case Yielded(Note(line)) if ticket is not None:
                say(line)
                executor.advance(ticket)
                continue
            case Lost(reason):
                then = "another takes its place" if ticket is None else "its work runs again"
                say(f"a trainer died ({reason}); {then}")
        if ticket is not None:
            yield ticket, event


def carry(
    executor: Executor,
    jobs: Sequence[Job],
    *,
    say: Callable[[str], None] = lambda line: None,
    again: Callable[[Job], Job] = lambda job: job,
    tick: Callable[[], None] = lambda: None,
    each_alone: bool = False,
) -> Iterator[tuple[Job, Any]]:
    """Yields (job, value) for every value that a job yields, and (job, Returned) at its end.

    `again` gives the job that takes the place of one that was lost or failed. `tick` is called at
    least every half a second. Raises JobError where a job fails, or loses its tenth trainer. With
    `each_alone` such a job ends with (job, Failed) and the others go on; one that fails runs again
    twice before. What would fail the same way again raises all the same.
    """
    waiting = deque(enumerate(jobs))
    running: dict[int, tuple[int, Job]] = {}  # by ticket
    losses: Counter[int] = Counter()  # by the job's number
    failures: Counter[int] = Counter()
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
                    if losses[number] < LOSSES:
                        waiting.append((number, again(job)))
                    else:
                        end = f"{LOSSES} trainers died of one job; the last: {reason}"
                        if not each_alone:
                            raise JobError(end)
                        yield job, Failed(end, "", known=True)
                case Failed(reason, trace, known, final) if final or not each_alone:
                    raise JobError(reason) if known else RuntimeError(f"a job failed:\n{trace}")
                case Failed(reason):
                    failures[number] += 1
                    if failures[number] > RETRIES:
                        yield job, event
                    else:
                        say(f"a job failed ({reason}); it runs again")
                        waiting.append((number, again(job)))
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
