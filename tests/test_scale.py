"""Many machines: supervisors that share a real PostgreSQL database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ENV, command
from kills import faults, row_faults, running, studies, worker_pids
from test_bench import rows, wait_for

from drnn_bench.plan import Request, make_plan
from drnn_bench.search import Search
from drnn_bench.storage import GRACE, TrialLock, open_storage
from drnn_bench.studies import tally

SMALL = ("--family", "lstm", "--family", "dilated_cnn", "--trials", "6", "--steps", "30",
         "--seeds", "1", "--sampler", "random", "--pruner", "none")  # fmt: skip


def start(folder, *words):
    """A command in a folder of its own, as on a machine of its own."""
    folder.mkdir()
    with (folder / "output").open("w") as output:
        return subprocess.Popen(
            command(*words), cwd=folder, env=ENV, stdout=output, stderr=output
        )


def finish(process, folder):
    code = process.wait(timeout=300)
    said = (folder / "output").read_text()
    assert code == 0, said
    assert "Traceback" not in said
    return said


@pytest.fixture
def undisturbed(tmp_path):
    """The URL of a storage with the same search, by one worker in this process."""
    plan = make_plan(
        Request(
            runs_dir=str(tmp_path / "undisturbed"), families=("lstm", "dilated_cnn"), trials=6,
            steps=30, seeds=1, sampler="random", pruner="none", device="cpu",
        )
    )  # fmt: skip
    storage, lock = open_storage(plan.storage), TrialLock(plan.storage)
    Search(storage, lock, list(plan.specs), plan.trials, plan.prepared, "cpu", "only").work()
    return plan


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
def test_a_killed_supervisors_trials_are_finished_by_the_other(
    tmp_path, postgres, database, undisturbed
):
    first, second = tmp_path / "first", tmp_path / "second"
    words = ("run", *SMALL, "--workers", "2", "--storage", database)
    victim = start(first, *words)
    survivor = start(second, *words)
    connections = []

    def both_at_work():
        busy = {t.user_attrs.get("worker") for t in running(database)}
        return all(busy & worker_pids(folder).keys() for folder in (first, second))

    wait_for(both_at_work)
    dead = worker_pids(first)
    victim.kill()  # and nobody is left to bury its workers
    for pid in dead.values():
        os.kill(pid, signal.SIGKILL)
    victim.wait()
    left = [t for t in running(database) if t.user_attrs.get("worker") in dead]
    assert left
    age(postgres, database, left)
    finish(survivor, second)
    assert faults(database, undisturbed.storage, undisturbed.trials) == []
    identities = {spec.identity for spec in undisturbed.specs}
    assert row_faults(second / "runs" / "records.jsonl", identities, 1) == []


def age(server, database, trials):
    """Sets back the clock of dead trials' last heartbeats, not to wait for them to grow stale."""
    with server.connect(database.rpartition("/")[2]) as connection:
        for trial in trials:
            connection.execute(
                "UPDATE trial_heartbeats SET heartbeat = heartbeat - %s * interval '1 second' "
                "WHERE trial_id = %s",
                (GRACE + 1, trial._trial_id),
            )
