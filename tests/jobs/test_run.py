"""A run in trouble: signals, a storage that fails, full disks, trainers that cannot start."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from kills import WithoutSpeed, trainer_pids

from drnn_bench.errors import JobError, UserError
from drnn_bench.jobs.job import Run
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.jobs.reporter import Silent
from drnn_bench.search import storage as storage_module
from drnn_bench.search.database import sqlite_url
from drnn_bench.search.lock import drivers_at_work, only_driver
from drnn_bench.search.storage import PatientStorage, open_storage
from drnn_bench.search.study import ask_for, open_study, studies_of
from tests.support.command import ENV, command
from tests.support.runs import counts, in_training, rows, total, wait_for

ONE = {"steps": 8, "trials": 2, "seeds": 1, "workers": 1, "families": ("dilated_cnn",)}
LONG = ("run", "--family", "lstm", "--trials", "40", "--steps", "120", "--seeds", "1",
        "--workers", "1")  # fmt: skip


def request(folder: Path, **changes) -> Request:
    return Request(runs_dir=str(folder / "runs"), device="cpu", **(ONE | changes))


@pytest.mark.slow
class TestSignals:
    """INT is in tests/cli/test_bench.py."""

    def test_hup_ends_a_run_in_good_order(self, start, tmp_path):
        running = start(tmp_path, *LONG)
        wait_for(lambda: total(tmp_path, "done") >= 1 and in_training(tmp_path), running)
        assert len(trainer_pids(tmp_path)) == 2  # the trainer, and what forked it
        running.send_signal(signal.SIGHUP)
        _, errors = running.communicate()
        assert running.returncode == 129
        assert errors == (
            "bench: hung up: what is finished is saved in runs; the same command continues\n"
        )
        assert total(tmp_path, "running") == total(tmp_path, "failed") == 0
        wait_for(lambda: not trainer_pids(tmp_path))

    def test_stopped_and_continued_and_then_every_process_is_terminated(
        self, start, typed, tmp_path
    ):
        """As batch systems do."""
        running = start(tmp_path, *LONG, "--workers", "2")
        wait_for(lambda: in_training(tmp_path), running)
        everybody = (*trainer_pids(tmp_path), running.pid)
        (row,) = json.loads(typed("status", "--json").stdout)
        assert row["state"] == "running"
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        done = total(tmp_path, "done")
        wait_for(lambda: total(tmp_path, "done") >= done + 2, running)
        for pid in everybody:
            os.kill(pid, signal.SIGTERM)
        _, errors = running.communicate()
        assert running.returncode == 143
        assert errors == (
            "bench: terminated: what is finished is saved in runs; the same command continues\n"
        )
        assert [(c.running, c.lost, c.failed) for c in counts(tmp_path).values()] == [(0, 0, 0)]

    def test_a_second_signal_ends_it_at_once(self, start, tmp_path):
        running = start(tmp_path, *LONG)
        wait_for(lambda: in_training(tmp_path), running)
        with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "studies.db")) as other:
            other.execute("BEGIN EXCLUSIVE")  # it cannot end in good order while this is held
            running.send_signal(signal.SIGTERM)
            while running.poll() is None:  # two that arrive at once count as one
                time.sleep(0.2)
                running.send_signal(signal.SIGTERM)
        assert running.returncode == 143
        wait_for(lambda: not trainer_pids(tmp_path))

    def test_process_1_under_nohup_ignores_hup_and_ends_on_term(self, start, tmp_path):
        """As in a container, where the system ignores signals that nobody handles."""
        box = ("unshare", "-rpf", "--kill-child", "nohup")
        if subprocess.run([*box, "true"], capture_output=True).returncode:
            pytest.skip("no namespaces here: no process can be number 1")
        running = start(tmp_path, *LONG, before=box)
        wait_for(lambda: in_training(tmp_path), running)
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text()
        process_1 = int(children.split()[0])
        os.kill(process_1, signal.SIGHUP)
        done = total(tmp_path, "done")
        wait_for(lambda: total(tmp_path, "done") >= done + 2, running)
        os.kill(process_1, signal.SIGTERM)
        running.communicate()
        assert running.returncode == 143


class TestStorage:
    def patient(self, folder, said, check=lambda: None):
        storage = open_storage(sqlite_url(folder))
        return PatientStorage(storage, lambda: None, said.append, check)

    def test_a_locked_database_is_said_and_waited_for(self, tmp_path):
        said = []
        patient = self.patient(tmp_path, said)
        other = sqlite3.connect(tmp_path / "studies.db", check_same_thread=False)
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        threading.Timer(4.5, other.rollback).start()
        study = patient.do(lambda: optuna.create_study(storage=patient.optuna, study_name="s"))
        assert time.monotonic() - began > 4
        assert study.study_name == "s"
        assert "database is locked; waiting for it up to 5 minutes" in said[0]
        assert said[-1].endswith("answers again")

    def test_what_was_lost_in_between_is_recovered_first(self, tmp_path):
        said, done = [], []
        patient = self.patient(tmp_path, said)
        patient.recover = lambda: done.append("recovered")

        def operation():
            done.append("tried")
            if done == ["tried"]:
                raise sqlite3.OperationalError("unable to open database file")
            return 7

        assert patient.do(operation) == 7
        assert done == ["tried", "recovered", "tried"]
        assert len(said) == 2

    def test_an_operation_that_hangs_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setattr(storage_module, "SILENCE", 0.2)
        said = []
        self.patient(tmp_path, said).do(lambda: wait_for(lambda: said))
        assert ["has not answered" in line for line in said] == [True]

    @pytest.mark.parametrize(
        "reason", ["database disk image is malformed", "file is not a database",
                   "database or disk is full", "attempt to write a readonly database"],
    )  # fmt: skip
    def test_what_waiting_cannot_help_ends_at_once(self, tmp_path, reason):
        def fail():
            raise sqlite3.DatabaseError(reason)

        said = []
        with pytest.raises(JobError, match=f"{reason}; what is finished is saved"):
            self.patient(tmp_path, said).do(fail)
        assert said == []  # it would say that it waits

    def test_patience_has_an_end(self, tmp_path, monkeypatch):
        monkeypatch.setattr(storage_module, "PATIENCE", 0.5)

        def fail():
            raise sqlite3.OperationalError("unable to open database file")

        with pytest.raises(JobError, match="unable to open"):
            self.patient(tmp_path, []).do(fail)

    def test_a_signal_ends_the_waiting(self, tmp_path):
        def stop():
            raise KeyboardInterrupt

        def fail():
            raise sqlite3.OperationalError("unable to open database file")

        with pytest.raises(KeyboardInterrupt):
            self.patient(tmp_path, [], check=stop).do(fail)

    def test_a_locked_database_does_not_keep_boards_waiting(self, typed, tmp_path):
        WithoutSpeed(make_plan(request(tmp_path)), Silent()).run()
        with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "studies.db")) as other:
            other.execute("BEGIN EXCLUSIVE")
            shown = typed("leaderboard", "--format", "json")
        assert json.loads(shown.stdout)[0]["family"] == "dilated_cnn"
        assert "locked" in shown.stderr
        assert len(shown.stderr.splitlines()) == 1

    def test_an_empty_file_is_a_new_database(self, tmp_path):
        (tmp_path / "studies.db").touch()
        assert open_storage(sqlite_url(tmp_path)).get_all_studies() == []

    @pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" * 200])
    def test_a_database_that_is_none_is_one_line(self, typed, tmp_path, content):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "studies.db").write_bytes(content)
        small = ("--trials", "1", "--steps", "1", "--family", "dilated_cnn", "--seeds", "1")
        done = typed("run", *small, "--workers", "1", code=1)
        assert len(done.stderr.splitlines()) == 1
        assert "studies.db" in done.stderr


class TestLocks:
    def test_one_driver_at_a_time(self, tmp_path, monkeypatch):
        monkeypatch.setattr("drnn_bench.search.lock.PATIENCE", 0.2)
        url = sqlite_url(tmp_path)
        assert drivers_at_work(url, ["a"]) == set()
        with only_driver(url, tmp_path, ["a"]) as confirm:
            confirm()
            assert drivers_at_work(url, ["a", "b"]) == {"a", "b"}
            with (
                pytest.raises(UserError, match="another `bench run` is at work"),
                only_driver(url, tmp_path, ["b"]),
            ):
                pass
        with only_driver(url, tmp_path, ["a"]):
            pass
        assert drivers_at_work(url, ["a"]) == set()

    def test_two_runs_folders_share_no_sqlite_storage(self, tmp_path, monkeypatch):
        monkeypatch.setattr("drnn_bench.search.lock.PATIENCE", 0.2)
        url = f"sqlite:///{tmp_path}/one.db"
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with (
            only_driver(url, tmp_path / "a", ["x"]),
            pytest.raises(UserError, match="another `bench run` is at work"),
            only_driver(url, tmp_path / "b", ["x"]),
        ):
            pass


class TestStatus:
    def test_a_search_that_stopped(self, typed, tmp_path):
        WithoutSpeed(make_plan(request(tmp_path, trials=3)), Silent()).run()
        url = sqlite_url(tmp_path / "runs")
        (row,) = json.loads(typed("status", "--json").stdout)
        assert (row["state"], row["done"], row["trials"], row["running"]) == ("finished", 3, 3, 0)
        assert row["architecture"].startswith("base=")
        ask_for(studies_of(open_storage(url))[0][1], 5)
        (row,) = json.loads(typed("status", "--storage", url, "--json").stdout)
        assert (row["state"], row["done"], row["trials"]) == ("stopped", 3, 5)
        assert "2 trials left, 0 running" in typed("status").stdout

    def test_what_a_killed_driver_left_behind_is_not_called_running(self, typed, tmp_path):
        plan = make_plan(request(tmp_path))
        study = open_study(open_storage(plan.storage), plan.specs[0], plan.task)
        ask_for(study, plan.trials)
        study.ask()
        before = study.get_trials()
        (row,) = json.loads(typed("status", "--json").stdout)
        assert (row["state"], row["running"], row["waiting"]) == ("stopped", 0, 1)
        assert "nobody is at work" in typed("status").stdout
        assert study.get_trials() == before  # to look changes nothing

    def test_a_folder_without_a_search(self, typed):
        assert "no search in runs" in typed("status", code=2).stderr
        assert typed("status", "--storage", "sqlite:///none.db", "--json").stdout == "[]\n"


def test_trainers_that_cannot_start_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("drnn_bench.jobs.job.MODULES", ("drnn_bench.no_such_module",))
    with pytest.raises(JobError, match=r"no trainer can start .*no_such_module"):
        Run(make_plan(request(tmp_path)), Silent()).run()


FAULTS = """
import resource, sys
from drnn_bench.system.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
import torch
from drnn_bench import build
torch.set_num_threads(1)
net = build("dilated_cnn", input_size=1, output_size=10, budget=5000)
x = torch.randn(128, int(sys.argv[2]), 1)
def steps(count):
    for _ in range(count):
        net(x).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = steps(4)
print(steps(8) - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
@pytest.mark.parametrize("length", [256, 4096])  # pieces below and above 32 MiB
def test_freed_memory_stays_with_a_trainer(length):
    given, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how, str(length)], capture_output=True,
                           text=True, check=True, env=ENV).stdout)
        for how in ("given back", "kept")
    )  # fmt: skip
    # The system itself moves pages, more where memory is scarce: up to a third were seen.
    assert kept < given / 2


DISKS = {  # kilobytes, trials asked for, what is said
    "before": (60, 1, "MB are free, the weights"),
    "meanwhile": (1800, 400, "disk is full"),
}
# Others fill the disk once the search has begun.
FILL = "(until [ -e runs/studies.db ]; do sleep 0.05; done; head -c 1450k /dev/zero > full)"


@pytest.mark.slow
@pytest.mark.parametrize("what", DISKS)
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, what):
    """On a real file system of some hundred kilobytes, in a namespace of its own."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here: a small file system cannot be mounted")
    kilobytes, trials, words = DISKS[what]
    (tmp_path / "small").mkdir()
    run = command("run", "--trials", trials, "--steps", "2", "--seeds", "1", "--workers", "1",
                  "--family", "dilated_cnn", "--pruner", "none")  # fmt: skip
    script = (
        f"mount -t tmpfs -o size={kilobytes}k tmpfs small && cd small || exit\n"
        f"{FILL} 2> /dev/null & filler=$!\n"
        f"{shlex.join(run)} > ../said 2>&1; echo $? > ../code; kill $filler; cp runs/studies.db .."
    )
    subprocess.run(["unshare", "-rm", "sh", "-c", script], env=ENV, cwd=tmp_path)
    said = (tmp_path / "said").read_text()
    assert (tmp_path / "code").read_text().strip() == "1", said
    assert "Traceback" not in said
    assert words in said.splitlines()[-1]
    if what == "meanwhile":
        ((_, study),) = studies_of(open_storage(sqlite_url(tmp_path), create=False))
        assert any(trial.value is not None for trial in study.trials)


def test_records_that_cannot_be_written_are_one_line(tmp_path):
    """Once the search is over, no file may grow beyond ten bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Reporter(Silent):
        def rest(self):
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))

    asked = request(tmp_path)
    try:
        with pytest.raises(JobError, match=r"cannot be written.*\(File too large"):
            WithoutSpeed(make_plan(asked), Reporter()).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    WithoutSpeed(make_plan(asked), Silent()).run()  # nothing was lost: the search is not made again
    assert total(tmp_path, "done") == 2
    assert len(rows(tmp_path, "final")) == 1
