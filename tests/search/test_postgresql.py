"""Searches whose studies lie in a real PostgreSQL database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from kills import faults, row_faults, studies, trainer_pids, words

from drnn_bench.errors import JobError, UserError
from drnn_bench.search.lock import advisory_key, drivers_at_work, only_driver
from drnn_bench.search.trial_facts import count_trials
from tests.support.command import ENV
from tests.support.inline import left_in_peace
from tests.support.runs import wait_for

SEARCH = {"families": ("lstm", "dilated_cnn"), "trials": 4, "steps": 60, "seeds": 1,
          "sampler": "random", "pruner": "none"}  # fmt: skip
DIGEST, OTHER = "746d41f42080", "ffffffffffff"
HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same search by one trainer, undisturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return left_in_peace(folder, **SEARCH), folder


def done(storage):
    return sum(count_trials(trials).done for trials in studies(storage).values())


def running(storage):
    return sum(count_trials(trials).running for trials in studies(storage).values())


def said(process, words):
    """Waits until the command prints these words."""
    printed = []
    while not printed or words not in printed[-1]:
        printed.append(process.stdout.readline())
        assert printed[-1], "".join(printed)  # it has ended


def check(process, folder, storage, whole):
    """The command ends well, and the search is what it would have been undisturbed."""
    plan, undisturbed = whole
    out = process.stdout.read()  # not by communicate(): what `said` has buffered would be lost
    errors = process.stderr.read()
    assert process.wait() == 0, out + errors
    assert "Traceback" not in errors
    assert faults(storage, plan.storage, plan.trials) == []
    assert row_faults(folder / "runs", undisturbed, plan.seeds, sessions=0) == []


def test_eight_processes_meet_an_empty_database_at_once(database):
    code = (
        "import sys\n"
        "from drnn_bench.search.storage import open_storage\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
        "open_storage(sys.argv[1])"
    )
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", code, database], env=ENV, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(8)
    ]  # fmt: skip
    for process in crowd:
        assert process.stdout.readline() == "ready\n"
    for process in crowd:
        process.stdin.close()
    errors = [process.stderr.read() for process in crowd]
    assert [process.wait() for process in crowd] == [0] * 8, errors


class TestLock:
    def cut(self, postgres, database):
        """Ends the connection that holds a lock, as a server that restarts does."""
        with postgres.connect(database.rpartition("/")[2]) as connection:
            for (pid,) in connection.execute(HOLDERS).fetchall():
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))

    def test_one_driver_a_study(self, database, tmp_path):
        folders = [tmp_path / name for name in "abc"]
        for folder in folders:
            folder.mkdir()
        assert drivers_at_work(database, [DIGEST, OTHER]) == set()
        with only_driver(database, folders[0], [DIGEST]):
            assert drivers_at_work(database, [DIGEST, OTHER]) == {DIGEST}
            with (
                pytest.raises(UserError, match=f"at work on study {DIGEST}"),
                only_driver(database, folders[1], [OTHER, DIGEST]),
            ):
                pass
            with only_driver(database, folders[2], [OTHER]):  # another study is free
                assert drivers_at_work(database, [DIGEST, OTHER]) == {DIGEST, OTHER}
        assert drivers_at_work(database, [DIGEST, OTHER]) == set()

    def test_a_lock_that_was_lost_is_taken_again(self, postgres, database, tmp_path):
        with only_driver(database, tmp_path, [DIGEST]) as confirm:
            confirm()
            self.cut(postgres, database)
            confirm()
            assert drivers_at_work(database, [DIGEST]) == {DIGEST}

    def test_a_lock_that_another_has_taken_meanwhile_ends_the_run(
        self, postgres, database, tmp_path
    ):
        with only_driver(database, tmp_path, [DIGEST]) as confirm:
            self.cut(postgres, database)
            with postgres.connect(database.rpartition("/")[2]) as other:
                other.execute(f"SELECT pg_advisory_lock({advisory_key(DIGEST)})")
                with pytest.raises(JobError, match=f"another driver has taken study {DIGEST}"):
                    confirm()


@pytest.mark.slow
def test_a_search_survives_a_database_that_goes_and_comes_and_its_drivers_death(
    start, typed, tmp_path, postgres, database, whole
):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    command_words = ("run", *words(SEARCH), "--workers", "2", "--storage", database)
    process = start(first, *command_words)
    wait_for(lambda: running(database), process)
    for pid in trainer_pids(first):  # most trials are left, however long the commands take
        os.kill(pid, signal.SIGSTOP)
    rows = json.loads(typed("status", "--storage", database, "--json").stdout)
    assert {row["state"] for row in rows} == {"running"}
    refused = typed(*command_words, code=2, cwd=second)
    assert "at work on study" in refused.stderr
    for pid in (process.pid, *trainer_pids(first)):
        os.kill(pid, signal.SIGKILL)
    process.communicate()

    before = done(database)
    another = start(second, *command_words)
    wait_for(lambda: done(database) > before, another)
    trainers = trainer_pids(second)
    for pid in trainers:  # or the server takes to stop
        os.kill(pid, signal.SIGSTOP)
    with postgres.down():
        for pid in trainers:
            os.kill(pid, signal.SIGCONT)
        said(another, "waiting for it up to 5 minutes")
    said(another, "answers again")
    with postgres.down():  # again, whatever the search is doing
        time.sleep(3)
    check(another, second, database, whole)
