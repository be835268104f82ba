"""What every executor does: the suite that each of them inherits."""

from __future__ import annotations

import os
import time
from collections import Counter

import pytest

from drnn_bench.errors import JobError
from drnn_bench.execution.carry import carry
from drnn_bench.execution.job import Failed, Lost, Returned, Yielded
from tests.support.inline import InlineExecutor
from tests.support.toy_jobs import Count, Dies, Echo, Fails, Hangs, Raises, Shared


def next_event(executor, ticket, seconds=300.0):
    """What happens next to one job; the others' events are thrown away."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for found, event in executor.wait(0.2):
            if found == ticket:
                return event
    raise AssertionError("nothing happened")


def ready(executor, size=1):
    """The executor, when so many of its trainers take jobs."""
    while executor.free < size:
        assert all(ticket is None for ticket, _ in executor.wait(0.2))
    return executor


class JobsContract:
    """What becomes of jobs. `executor` is one of one trainer, which each test leaves free."""

    def test_the_values_of_a_job_come_in_order_and_its_result_last(self, executor):
        ticket, seen = executor.start(Count(3)), []
        while not isinstance(event := next_event(executor, ticket), Returned):
            seen.append(event.value)
            executor.advance(ticket)
        assert (seen, event.value, executor.free) == ([1, 2, 3], 6, 1)

    def test_a_job_that_has_yielded_does_nothing_until_it_is_advanced(self, executor, tmp_path):
        note = tmp_path / "note"
        ticket = executor.start(Count(3, note=note))
        assert next_event(executor, ticket) == Yielded(1)
        assert executor.wait(0.3) == []
        assert note.read_text() == "1\n"
        executor.advance(ticket)
        assert next_event(executor, ticket) == Yielded(2)
        executor.drop(ticket)

    def test_a_job_that_is_dropped_ends_and_its_trainer_takes_another(self, executor, tmp_path):
        note = tmp_path / "note"
        ticket = executor.start(Count(3, note=note))
        next_event(executor, ticket)
        executor.drop(ticket)
        assert executor.free == 1
        other = executor.start(Count(0))
        assert next_event(executor, other) == Returned(0)
        assert note.read_text() == "1\nclosed\n"

    @pytest.mark.parametrize("error", ["ValueError", "SystemExit", "KeyboardInterrupt"])
    def test_a_job_that_raises_has_failed_and_its_trainer_goes_on(self, executor, error):
        ticket = executor.start(Raises(error))
        next_event(executor, ticket)
        executor.advance(ticket)
        event = next_event(executor, ticket)
        assert isinstance(event, Failed)
        assert event.reason.startswith(error)
        assert len(event.reason.splitlines()) == 1
        assert not event.known
        assert error in event.trace
        assert next_event(executor, executor.start(Count(0))) == Returned(0)

    def test_a_job_that_hangs_is_ended_for_a_reason(self, executor):
        ticket = executor.start(Count(2) if isinstance(executor, InlineExecutor) else Hangs())
        next_event(executor, ticket)
        executor.advance(ticket)
        executor.end(ticket, "it hangs")
        assert next_event(executor, ticket) == Lost("it hangs")
        ready(executor)  # another takes its place
        assert next_event(executor, executor.start(Count(0))) == Returned(0)


class TrainersContract:
    """What becomes of trainers. `make(size, shared)` gives an executor that is ready."""

    survives = True  # a job may kill its trainer
    many_deaths = True  # what counts them is the same for all executors (execution/carry.py)

    def test_every_job_is_given_what_all_share(self, make):
        executor = make(1, shared={"data": [1, 2]})
        for _ in range(2):
            assert next_event(executor, executor.start(Shared())) == Returned({"data": [1, 2]})

    def test_many_jobs_on_few_trainers_are_each_done_once(self, make):
        jobs = [Count(n % 4) for n in range(20)]
        ended = [(job.n, event.value) for job, event in carry(make(2), jobs)
                 if isinstance(event, Returned)]  # fmt: skip
        assert Counter(ended) == Counter((job.n, sum(range(job.n + 1))) for job in jobs)

    def test_a_job_whose_trainer_was_lost_is_begun_again(self, make, tmp_path):
        if not self.survives:
            pytest.skip("its trainers are this process")
        said, jobs = [], [Dies(tmp_path / "note", times=2), Count(2)]
        done = {job: event.value for job, event in carry(make(1), jobs, say=said.append)
                if isinstance(event, Returned)}  # fmt: skip
        assert done == {jobs[0]: "survived", jobs[1]: 3}
        assert [line for line in said if "a trainer died" in line] == said
        assert len(said) == 2

    def test_a_job_that_kills_every_trainer_is_given_up(self, make, tmp_path):
        if not (self.survives and self.many_deaths):
            pytest.skip("its trainers are this process, or slow to start")
        with pytest.raises(JobError, match="10 trainers died of one job"):
            list(carry(make(1), [Dies(tmp_path / "note", times=100)]))

    @pytest.mark.parametrize("times", [2, 3])
    def test_where_each_job_is_alone_one_that_fails_runs_again_twice(self, make, tmp_path, times):
        note, said = tmp_path / "note", []
        jobs = [Fails(note, times), Count(2)]
        ended = {job: event for job, event in carry(make(1), jobs, say=said.append, each_alone=True)
                 if isinstance(event, Returned | Failed)}  # fmt: skip
        assert ended[jobs[1]] == Returned(3)
        assert said == ["a job failed (ValueError: not yet); it runs again"] * 2
        assert note.read_text().count("failed") == times
        if times == 2:
            assert ended[jobs[0]] == Returned("survived")
        else:
            assert ended[jobs[0]].reason == "ValueError: not yet"

    def test_where_all_jobs_hang_together_one_that_fails_ends_them(self, make, tmp_path):
        with pytest.raises(RuntimeError, match="not yet"):
            list(carry(make(1), [Fails(tmp_path / "note", 1), Count(2)]))
        assert (tmp_path / "note").read_text().count("failed") == 1

    def test_a_job_alone_that_kills_every_trainer_has_failed(self, make, tmp_path):
        if not (self.survives and self.many_deaths):
            pytest.skip("its trainers are this process, or slow to start")
        jobs = [Dies(tmp_path / "note", times=100), Count(2)]
        ended = {job: event for job, event in carry(make(1), jobs, each_alone=True)
                 if isinstance(event, Returned | Failed)}  # fmt: skip
        assert ended[jobs[0]].reason.startswith("10 trainers died of one job; the last: ")
        assert ended[jobs[1]] == Returned(3)

    def test_large_values_pass_both_ways(self, make):
        data = os.urandom(5_000_000)
        ticket = (executor := make(1)).start(Echo(data))
        assert next_event(executor, ticket) == Yielded(data)
        executor.advance(ticket)
        assert next_event(executor, ticket) == Returned(data[::-1])

    def test_closing_ends_what_runs(self, make):
        executor = make(2)
        for _ in range(2):
            executor.start(Count(2, seconds=100) if self.survives else Count(2))
        began = time.monotonic()
        executor.close()
        assert time.monotonic() - began < 60  # seconds; not to the end of what runs


class ExecutorContract(JobsContract, TrainersContract):
    """The whole of it, with a new executor for each test."""

    @pytest.fixture
    def executor(self, make):
        return make(1)
