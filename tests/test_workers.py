"""Searches that several processes share: `bench worker`, `bench status`, and what goes wrong."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from conftest import ENV, command, refusal
from optuna.trial import TrialState
from rich.console import Console

from drnn_bench import join as join_module
from drnn_bench import supervise as supervise_module
from drnn_bench.database import TrialLock, patience
from drnn_bench.errors import JobError
from drnn_bench.job import Job
from drnn_bench.join import join
from drnn_bench.plan import Request, make_plan
from drnn_bench.progress import Progress
from drnn_bench.reporter import Silent
from drnn_bench.storage import open_storage, sqlite_url
from drnn_bench.studies import ask_for, open_study, studies_of, tally

SMALL = {"steps": 8, "trials": 2, "seeds": 1, "workers": 1, "families": ("dilated_cnn",)}


def begun(runs_dir: Path, **request) -> str:
    """A search of which no trial has run; its URL."""
    plan = make_plan(Request(runs_dir=str(runs_dir), device="cpu", **(SMALL | request)))
    storage = open_storage(plan.storage)
    for spec in plan.specs:
        ask_for(open_study(storage, spec, plan.task), plan.trials)
    return plan.storage


def help_out(url: str, folder: Path, said: list | None = None, **options) -> int:
    defaults = {"slots": 1, "device": "cpu", "data_dir": None, "task": None}
    return join(
        url,
        **(defaults | options),
        runs_dir=folder,
        progress=Progress(Console(quiet=True)),
        say=(said if said is not None else []).append,
    )


def tallies(url: str) -> list:
    return [
        tally(study.get_trials(deepcopy=False))
        for _, study in studies_of(open_storage(url, create=False))
    ]


class TestJoining:
    def test_a_worker_alone_brings_a_search_to_its_trials_and_no_further(self, tmp_path):
        url = begun(tmp_path / "runs", families=("dilated_cnn", "lstm"), trials=3)
        said = []
        assert help_out(url, tmp_path / "mine", said, slots=2) == 2
        assert [count.done for count in tallies(url)] == [3, 3]
        assert said == ["joined 2 studies of pixel_digits with 2 slots"]
        assert help_out(url, tmp_path / "mine") == 0

    def test_the_run_that_began_it_finds_the_trials_done(self, tmp_path):
        url = begun(tmp_path / "runs")
        help_out(url, tmp_path / "mine")
        before = [
            (t.number, t.user_attrs["worker"])
            for _, s in studies_of(open_storage(url))
            for t in s.trials
        ]
        Job(
            make_plan(Request(runs_dir=str(tmp_path / "runs"), device="cpu", **SMALL)), Silent()
        ).run()
        after = [
            (t.number, t.user_attrs["worker"])
            for _, s in studies_of(open_storage(url))
            for t in s.trials
        ]
        assert after == before
        rows = (tmp_path / "runs" / "records.jsonl").read_text().splitlines()
        assert sorted({json.loads(row)["role"] for row in rows}) == ["final", "speed", "study"]

    def test_another_version_is_refused(self, tmp_path):
        url = begun(tmp_path / "runs")
        ((_, study),) = studies_of(open_storage(url))
        study.set_user_attr("harness_version", "0.0.1")
        said = refusal(help_out, url, tmp_path / "mine")
        assert "begun with drnn_bench 0.0.1" in said
        assert "install 0.0.1" in said

    def test_other_data_is_refused(self, tmp_path):
        text = "".join(map(str, range(20_000)))
        (tmp_path / "here.txt").write_text(text)
        url = begun(tmp_path / "runs", task=f"char_text:path={tmp_path}/here.txt,length=20")
        assert "say where that is, --task NAME:path=..." in refusal(help_out, url, tmp_path / "m")
        (tmp_path / "there").mkdir()
        other = tmp_path / "there" / "here.txt"
        other.write_text(text[::-1])
        said = refusal(
            lambda: help_out(url, tmp_path / "m", task=f"char_text:path={other},length=20")
        )
        assert "its data hash is" in said
        said = refusal(
            lambda: help_out(url, tmp_path / "m", task=f"char_text:path={other},length=9")
        )
        assert "the search is on char_text:length=20,text=here, not on" in said
        shutil.copy(tmp_path / "here.txt", other)
        help_out(url, tmp_path / "m", task=f"char_text:path={other},length=20")
        assert [count.done for count in tallies(url)] == [2]

    def test_where_no_search_begins_it_says_how_to_begin_one(self, tmp_path, monkeypatch):
        monkeypatch.setattr(join_module, "WAIT", 0.5)
        with pytest.raises(JobError, match="start one with `bench run --storage`"):
            help_out(f"sqlite:///{tmp_path}/none.db", tmp_path / "mine")
        assert not list(tmp_path.glob("none.db*"))

    def test_a_worker_that_comes_first_waits_for_the_search(self, tmp_path):
        url, said = sqlite_url(tmp_path / "runs"), []
        early = threading.Thread(target=help_out, args=(url, tmp_path / "mine", said))
        early.start()
        time.sleep(0.5)
        assert begun(tmp_path / "runs") == url
        early.join(60)
        assert "waiting for a search to begin" in said[0]
        assert [count.done for count in tallies(url)] == [2]

    def test_no_slots_are_refused(self, bench):
        done = bench("worker", "--storage", "sqlite:///s.db", "--slots", "0", code=2)
        assert "--slots must be at least 1" in done.stderr


@pytest.mark.slow
def test_a_run_and_a_worker_share_one_search(bench, tmp_path):
    # Enough that the worker has not done it all while the run still measures its pace.
    words = ("--trials", "12", "--steps", "400", "--seeds", "1", "--workers", "1")
    words = (*words, "--pruner", "none")
    run = subprocess.Popen(
        command("run", *words, "--family", "dilated_cnn", "--family", "lstm"),
        cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    done = bench(
        "worker", "--storage", "sqlite:///runs/studies.db", "--slots", "2", "--runs-dir", "mine"
    )
    assert "every study has its trials" in done.stdout
    assert run.wait(120) == 0, run.stdout.read()
    found = studies_of(open_storage(f"sqlite:///{tmp_path}/runs/studies.db"))
    for _, study in found:
        assert tally(study.trials).done == 12
        assert sorted(t.user_attrs["index"] for t in study.trials) == list(range(12))
    assert len({t.user_attrs["worker"] for _, study in found for t in study.trials}) >= 2
    again = bench("run", *words, "--family", "dilated_cnn", "--family", "lstm", cwd=tmp_path)
    assert "Plan" not in again.stdout  # nothing is left to do


class TestStatus:
    def test_a_search_that_stopped(self, bench, tmp_path):
        url = begun(tmp_path / "runs", trials=3)
        help_out(url, tmp_path / "mine")
        (row,) = json.loads(bench("status", "--json").stdout)
        assert (row["state"], row["done"], row["trials"], row["running"]) == ("finished", 3, 3, 0)
        assert row["architecture"].startswith("base=")
        ask_for(studies_of(open_storage(url))[0][1], 5)
        (row,) = json.loads(bench("status", "--storage", url, "--json").stdout)
        assert (row["state"], row["done"], row["trials"]) == ("stopped", 3, 5)
        assert "2 trials left, 0 running" in bench("status").stdout

    def test_no_trial_stays_running_when_its_worker_is_gone(self, bench, tmp_path):
        url = begun(tmp_path / "runs")
        ((_, study),) = studies_of(open_storage(url))
        study.enqueue_trial({}, user_attrs={"index": 0, "config": {}})
        study.ask()
        assert tallies(url)[0].running == 1
        (row,) = json.loads(bench("status", "--json").stdout)
        assert (row["running"], row["waiting"], row["failed"]) == (0, 1, 0)

    def test_a_folder_without_a_search(self, bench):
        assert "no search in runs" in bench("status", code=2).stderr
        assert bench("status", "--storage", "sqlite:///none.db", "--json").stdout == "[]\n"


FAULTS = """
import resource, sys
from drnn_bench.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
import torch
from drnn_bench import build
net, x = build("dilated_cnn", input_size=1, output_size=10, budget=5000), torch.randn(128, 64, 1)
def steps(count):
    for _ in range(count):
        net(x).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = steps(10)
print(steps(20) - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
def test_freed_memory_stays_with_a_worker():
    given, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True,
                           text=True, check=True, env=ENV).stdout)
        for how in ("given back", "kept")
    )  # fmt: skip
    assert kept < given / 4


def test_a_trial_that_hangs_is_ended_and_runs_again(tmp_path, monkeypatch):
    monkeypatch.setattr(supervise_module, "LEAST", 4.0)
    monkeypatch.setattr(supervise_module, "WATCH", 0.2)
    monkeypatch.setattr(supervise_module, "TIMES", 3.0)
    said, stopped = [], []

    class Reporter(Silent):
        def say(self, line):
            said.append(line)

        def search(self, rows):  # the first worker that has a trial stops in the middle of it
            if stopped or not rows[0].tally.running or rows[0].tally.done < 1:
                return
            study = job.studies[0][1]
            found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            for trial in (t for t in found if "config" in t.user_attrs):
                worker = next(
                    w for w in pool_of(job).workers if w.name == trial.user_attrs["worker"]
                )
                os.kill(worker.process.pid, signal.SIGSTOP)
                stopped.append(trial.user_attrs["index"])

    pools = []
    monkeypatch.setattr(
        "drnn_bench.job.Pool", lambda *a: pools.append(supervise_module.Pool(*a)) or pools[-1]
    )

    def pool_of(_):
        return pools[-1]

    request = Request(runs_dir=str(tmp_path / "runs"), device="cpu",
                      **(SMALL | {"steps": 1500, "trials": 3}))  # fmt: skip
    job = Job(make_plan(request), Reporter())
    job.run()
    assert stopped
    assert any("hanging" in line and "its trial runs again" in line for line in said)
    trials = job.studies[0][1].trials
    assert tally(trials).done == 3
    dead = [t for t in trials if t.state == TrialState.FAIL]
    assert dead[0].user_attrs["reason"].startswith("hanging")
    assert dead[0].user_attrs["index"] == stopped[0]
    assert sorted(t.user_attrs["index"] for t in trials if t.state != TrialState.FAIL) == [0, 1, 2]


def test_a_worker_that_was_taken_for_dead_goes_on_with_other_trials(tmp_path):
    """It was suspended for longer than the grace, say: its trial is another's by now."""
    from drnn_bench.search import Search

    url = begun(tmp_path / "runs")
    storage = open_storage(url)
    plan = make_plan(Request(runs_dir=str(tmp_path / "runs"), device="cpu", **SMALL))
    search = Search(storage, TrialLock(storage), list(plan.specs), 2, plan.prepared, "cpu", "w")
    run, reaped = search._run, []

    def run_and_be_reaped(trial, *rest):
        if not reaped:
            reaped.append(trial.number)
            trial.study.tell(trial.number, state=TrialState.FAIL)
        return run(trial, *rest)

    search._run = run_and_be_reaped
    search.work()
    trials = studies_of(storage)[0][1].trials
    assert tally(trials).done == 2
    assert trials[0].state == TrialState.FAIL
    assert sorted(t.user_attrs["index"] for t in trials[1:]) == [0, 1]


def test_a_trial_whose_maker_died_before_its_first_beat_is_freed(tmp_path, monkeypatch):
    from drnn_bench import search as search_module

    url = begun(tmp_path / "runs")
    ((_, study),) = studies_of(open_storage(url))
    study.ask()  # no name: cut short while it was made
    named = study.ask()
    named.set_user_attr("worker", "gone")
    unborn: dict[int, float] = {}
    search_module.bury_the_dead(study, unborn)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.RUNNING]
    monkeypatch.setattr(search_module, "GRACE", 0.1)
    time.sleep(0.2)
    search_module.bury_the_dead(study, unborn)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.FAIL]
    assert tally(study.trials).failed == 0  # interrupted, not at fault


def test_a_database_gone_for_a_while_is_waited_for(tmp_path):
    """The file is moved away and back while its reader waits."""
    url = begun(tmp_path / "runs")
    storage = open_storage(url)
    path, away = tmp_path / "runs" / "studies.db", tmp_path / "away.db"
    storage.engine.dispose()
    path.rename(away)
    path.mkdir()  # no database can be opened there

    def bring_back():
        time.sleep(1.0)
        path.rmdir()
        away.rename(path)

    back = threading.Thread(target=bring_back)
    back.start()
    began = time.monotonic()
    assert len(optuna.get_all_study_names(storage)) == 1
    assert time.monotonic() - began > 0.5
    back.join()


def test_a_database_gone_for_good_is_one_line(tmp_path):
    url = begun(tmp_path / "runs")
    storage = open_storage(url)
    storage.engine.dispose()
    (tmp_path / "runs" / "studies.db").unlink()
    (tmp_path / "runs" / "studies.db").mkdir()
    from drnn_bench.database import answering

    with (
        patience(0.5),
        pytest.raises(JobError, match=r"no longer answers.*unable to open") as error,
        answering(url),
    ):
        optuna.get_all_study_names(storage)
    assert len(str(error.value).splitlines()) == 1


DISKS = {  # kilobytes, trials asked for, what is said
    "before": (60, 1, "MB are free, the weights"),
    "meanwhile": (1800, 400, "disk is full"),
}
# Others fill the disk once the search has begun.
FILL = "(until [ -e runs/studies.db ]; do sleep 0.05; done; head -c 1350k /dev/zero > full)"


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
        f"{FILL} 2> /dev/null &\n"
        f"{' '.join(run)} > ../said 2>&1; echo $? > ../code; cp runs/studies.db .."
    )
    subprocess.run(["unshare", "-rm", "sh", "-c", script], env=ENV, cwd=tmp_path)
    said = (tmp_path / "said").read_text()
    assert (tmp_path / "code").read_text().strip() == "1", said
    assert "Traceback" not in said
    assert words in said.splitlines()[-1]
    if what == "meanwhile":
        url = f"sqlite:///{tmp_path}/studies.db"
        ((_, study),) = studies_of(open_storage(url, create=False))
        assert tally(study.trials).done > 0


def test_records_that_cannot_be_written_are_one_line(tmp_path):
    """Once the search is over, no file may grow beyond ten bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Reporter(Silent):
        def rest(self):
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))

    request = Request(runs_dir=str(tmp_path / "runs"), device="cpu", **SMALL)
    try:
        with pytest.raises(JobError, match=r"records.jsonl cannot be written \(File too large"):
            Job(make_plan(request), Reporter()).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    Job(make_plan(request), Silent()).run()  # nothing was lost: the search is not made again
    assert tallies(sqlite_url(tmp_path / "runs"))[0].done == 2
