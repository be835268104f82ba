"""Many machines: supervisors that share a real PostgreSQL database."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

import pytest
from conftest import ENV, command
from kills import faults, row_faults, running, studies, undisturbed, words, worker_pids

from drnn_bench.storage import GRACE
from drnn_bench.studies import tally

SEARCH = {"families": ("lstm", "dilated_cnn"), "trials": 6, "steps": 30, "seeds": 1,
          "sampler": "random", "pruner": "none"}  # fmt: skip
APP = "machine"  # what PostgreSQL calls connections that are not the tests' own
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
LOCKS = (
    "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
    "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same search by one worker, undisturbed."""
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), **SEARCH)


@contextlib.contextmanager
def machine(folder, *typed):
    """A command in a folder of its own, as on a machine of its own."""
    folder.mkdir()
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            command(*typed), cwd=folder, env=ENV | {"PGAPPNAME": APP}, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def check(process, folder, storage, whole):
    """The command ends well, and the search is what it would have been undisturbed."""
    code = process.wait(timeout=300)
    said = (folder / "output").read_text()
    assert code == 0, said
    assert "Traceback" not in said
    assert faults(storage, whole.storage, whole.trials) == []
    identities = {spec.identity for spec in whole.specs}
    assert row_faults(folder / "runs" / "records.jsonl", identities, whole.seeds) == []


def until(condition, process):
    """Waits for what a machine does; fails once its command has ended."""
    while not (found := condition()):
        assert process.poll() is None
        time.sleep(0.05)
    return found


def in_training(storage, folder):
    """The trials of this folder's workers."""
    names = worker_pids(folder)
    return [t for t in running(storage) if t.user_attrs.get("worker") in names]


def done(storage):
    return sum(tally(trials).done for trials in studies(storage).values())


def freeze(server, storage, folder, process):
    """Stops a machine's workers, at least one of them in the middle of a trial and none with the
    lock, and returns their trials."""
    while True:
        until(lambda: in_training(storage, folder), process)
        signal_all(folder, signal.SIGSTOP)
        time.sleep(0.1)
        with server.connect(storage.rpartition("/")[2]) as connection:
            (locks,) = connection.execute(LOCKS).fetchone()
        if (trials := in_training(storage, folder)) and not locks:
            return trials
        signal_all(folder, signal.SIGCONT)


def signal_all(folder, number):
    for pid in worker_pids(folder).values():
        os.kill(pid, number)


def grow_stale(server, storage, trials):
    """Sets back the last heartbeats of dead trials, not to wait until they are old."""
    with server.connect(storage.rpartition("/")[2]) as connection:
        for trial in trials:
            connection.execute(
                "UPDATE trial_heartbeats SET heartbeat = heartbeat - %s * interval '1 second' "
                "WHERE trial_id = %s",
                (GRACE + 1, trial._trial_id),
            )


def test_eight_processes_meet_an_empty_database_at_once(database):
    code = (
        "import sys\n"
        "from drnn_bench.storage import open_storage\n"
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


@pytest.mark.slow
def test_a_killed_machines_trials_are_finished_by_another(tmp_path, postgres, database, whole):
    first, second = tmp_path / "first", tmp_path / "second"
    typed = ("run", *words(SEARCH), "--workers", "2", "--storage", database)
    with machine(first, *typed) as victim:
        left = freeze(postgres, database, first, victim)
        with machine(second, *typed) as survivor:
            until(lambda: in_training(database, second), survivor)
            dead = worker_pids(first)
            victim.kill()  # first, so that nobody is left to bury its workers
            for pid in dead.values():
                os.kill(pid, signal.SIGKILL)
            grow_stale(postgres, database, left)
            check(survivor, second, database, whole)


@pytest.mark.slow
def test_a_machine_needs_few_connections_and_waits_for_a_database_that_is_gone(
    tmp_path, postgres, database, whole
):
    folder = tmp_path / "machine"
    typed = ("run", *words(SEARCH), "--workers", "4", "--storage", database)
    with machine(folder, *typed) as process:
        until(lambda: done(database) >= 2, process)
        counts = []
        with postgres.connect() as connection:
            while done(database) < 6:
                for _ in range(5):
                    (count,) = connection.execute(CONNECTIONS, (APP,)).fetchone()
                    counts.append(count)
                    time.sleep(0.02)
        for seconds in (0.2, 0.4, 3):
            with postgres.down():
                time.sleep(seconds)
            time.sleep(0.4)
        check(process, folder, database, whole)
    # The supervisor and its workers keep one each, so that 16 such machines keep 80 of the 97
    # that PostgreSQL gives by default. Whoever holds the lock has a second one.
    assert statistics.median(counts) <= 6
    assert max(counts) <= 10
