"""Executors: one contract suite that each inherits, and what is a local process's own."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kills import trainer_pids

from drnn_bench.errors import JobError
from drnn_bench.execution.carry import events
from drnn_bench.execution.job import Lost, Returned, Yielded
from drnn_bench.execution.local import LocalExecutor
from tests.support.command import ENV, ROOT
from tests.support.executor_contract import ExecutorContract, next_event, ready
from tests.support.inline import InlineExecutor, Vanish
from tests.support.runs import wait_for
from tests.support.toy_jobs import Count, Echo, Fill, Where


class TestInline(ExecutorContract):
    survives = False

    @pytest.fixture
    def make(self):
        return lambda size, shared=None: InlineExecutor(size, shared)

    def test_a_trainer_that_vanishes_is_lost(self):
        class Gone:
            def run(self, shared):
                yield 1
                raise Vanish

        executor = InlineExecutor()
        ticket = executor.start(Gone())
        executor.advance(ticket)
        assert [type(next_event(executor, ticket)) for _ in range(2)] == [Yielded, Lost]


class TestLocal(ExecutorContract):
    @pytest.fixture
    def make(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", str(ROOT))  # trainers import the toy jobs
        made = []

        def make(size, shared=None, modules=()):
            made.append(LocalExecutor(size, tmp_path / "log", shared, modules))
            return ready(made[-1], size)

        yield make
        for executor in made:
            executor.close()

    def test_jobs_run_side_by_side_in_processes_of_one_thread(self, make):
        executor = make(2)
        two = [executor.start(Where()) for _ in range(2)]
        pids = set()
        while len(pids) < 2:
            pids |= {e.value for t, e in executor.wait(0.2) if t in two and isinstance(e, Yielded)}
        assert os.getpid() not in pids
        for pid in pids:
            environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
            assert "OMP_NUM_THREADS=1" in environment

    def test_a_library_may_print_what_it_likes(self, make, tmp_path):
        ticket = (executor := make(1)).start(Echo(b"x"))
        assert next_event(executor, ticket) == Yielded(b"x")
        executor.advance(ticket)
        assert next_event(executor, ticket) == Returned(b"x")
        said = (tmp_path / "log").read_text()
        assert "what a library prints" in said
        assert "and its errors" in said

    @pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
    @pytest.mark.parametrize("ends", [True, False], ids=["ends", "is dropped"])
    def test_a_trainer_keeps_freed_memory_until_its_job(self, make, ends):
        executor = make(1)
        (pid,) = executor.pids
        before, ticket = _resident(pid), executor.start(Fill())
        assert next_event(executor, ticket) == Yielded(1000)
        assert _resident(pid) > before + 280
        if ends:
            executor.advance(ticket)
            assert next_event(executor, ticket) == Returned(None)
        else:
            executor.drop(ticket)
        wait_for(lambda: _resident(pid) < before + 100)

    def test_a_trainer_that_is_killed_while_it_does_nothing_is_said_and_replaced(self, make):
        executor, said = make(1), []
        assert next_event(executor, executor.start(Count(0))) == Returned(0)
        (pid,) = executor.pids
        os.kill(pid, signal.SIGKILL)
        while not said:
            assert list(events(executor, said.append)) == []
        assert said == ["a trainer died (killed by SIGKILL); another takes its place"]
        assert pid not in executor.pids
        ready(executor)
        assert next_event(executor, executor.start(Count(0))) == Returned(0)

    def test_trainers_are_forked_by_one_process_that_is_replaced_too(self, make):
        executor = make(2)
        ticket = executor.start(Count(3))
        assert next_event(executor, ticket) == Yielded(1)
        (server,) = {_parent(pid) for pid in executor.pids}
        assert _parent(server) == os.getpid()
        os.kill(server, signal.SIGKILL)
        executor.advance(ticket)  # its trainers go on
        assert next_event(executor, ticket) == Yielded(2)
        before = set(executor.pids)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        event = next_event(executor, ticket)
        assert event == Lost("it ended, and so had the process that forks trainers")
        ready(executor, 2)
        assert not before & {*executor.pids}
        assert next_event(executor, executor.start(Count(0))) == Returned(0)

    def test_many_trainers_whose_one_parent_is_killed_as_it_starts_are_replaced(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
        begun = tmp_path / "begun"
        (tmp_path / "slow_to_import.py").write_text(
            f"import pathlib, time\nmark = pathlib.Path({str(begun)!r})\n"
            "if not mark.exists():\n    mark.touch()\n    time.sleep(1000)\n"
        )
        executor = LocalExecutor(5, tmp_path / "log", None, ["slow_to_import"])
        with contextlib.closing(executor):
            wait_for(begun.exists)
            (server,) = (pid for pid in trainer_pids(Path.cwd()) if _parent(pid) == os.getpid())
            os.kill(server, signal.SIGKILL)
            ready(executor, 5)
            assert next_event(executor, executor.start(Count(0))) == Returned(0)

    def test_a_closed_executor_leaves_no_process(self, make):
        executor = make(2)
        executor.start(Count(2, seconds=100))
        processes = [*executor.pids, *(_parent(pid) for pid in executor.pids)]
        executor.close()
        wait_for(lambda: all(map(_gone, processes)))

    @pytest.mark.parametrize("first", [True, False])
    def test_imports_come_before_the_fork_or_after_it(self, first, tmp_path):
        """After it on macOS."""
        code = (
            "import os, socket, sys\n"
            "from multiprocessing import Pipe\n"
            "from drnn_bench.execution import fork_server\n"
            f"fork_server.IMPORTS_FIRST = {first}\n"
            "here, there = socket.socketpair()\n"
            "pipe, far_end = Pipe()\n"
            "socket.send_fds(here, [fork_server.NUMBER.pack(0)], [far_end.fileno()])\n"
            "here.shutdown(socket.SHUT_WR)\n"
            "pipe.send('shared')\n"
            "begun = os.getpid()\n"
            "fork_server.main(there.detach(), ['colorsys'])\n"
            "if os.getpid() == begun:\n"
            "    assert pipe.recv() != begun and pipe.recv() is None\n"
            "    print('colorsys' in sys.modules)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], env=ENV | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as running:  # fmt: skip
            assert running.stdout.readline() == f"{first}\n"

    def test_trainers_that_cannot_start_are_one_line_with_the_cause(self, make):
        with pytest.raises(JobError, match=r"no trainer can start .*No module named 'no_such_mod"):
            make(1, modules=["no_such_module"])

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_a_signal_to_all_processes_leaves_trainers_to_the_driver(self, make, name):
        executor = make(1)
        ticket = executor.start(Count(3))
        next_event(executor, ticket)
        (pid,) = executor.pids
        os.kill(pid, getattr(signal, name))
        executor.advance(ticket)
        assert next_event(executor, ticket) == Yielded(2)

    def test_a_trainer_that_was_stopped_and_continued_goes_on(self, make):
        executor = make(1)
        ticket = executor.start(Count(2))
        next_event(executor, ticket)
        (pid,) = executor.pids
        os.kill(pid, signal.SIGSTOP)
        executor.advance(ticket)
        assert executor.wait(0.3) == []
        os.kill(pid, signal.SIGCONT)
        assert next_event(executor, ticket) == Yielded(2)

    def test_trainers_end_with_their_driver_even_in_the_middle_of_a_job(self, tmp_path):
        code = (
            "import sys, time\nfrom pathlib import Path\nfrom tests.support.toy_jobs import Hangs\n"
            "from drnn_bench.execution.local import LocalExecutor\n"
            f"executor = LocalExecutor(1, Path({str(tmp_path / 'log')!r}))\n"
            "while not executor.free: executor.wait(0.2)\n"
            "ticket = executor.start(Hangs())\n"
            "while not executor.wait(0.2): pass\n"
            "executor.advance(ticket)\n"
            "print(*executor.pids, flush=True)\ntime.sleep(600)"
        )
        driver = subprocess.Popen(
            [sys.executable, "-c", code], env=ENV | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        pid = int(driver.stdout.readline())
        driver.kill()
        driver.wait()
        wait_for(lambda: _gone(pid))


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _resident(pid: int) -> float:
    """MB of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def _gone(pid: int) -> bool:
    try:
        return ") Z" in Path(f"/proc/{pid}/stat").read_text()  # a zombie that nobody waits for
    except FileNotFoundError:
        return True
