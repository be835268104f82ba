"""Kills the trainers and the driver of a run at random moments, again and again, and then says
what got lost, doubled or changed. The tests and `benchmarks/search.py --kills` both use it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnn_bench.errors import JobError
from drnn_bench.execution.job import Executor
from drnn_bench.jobs.after_search import AfterSearch
from drnn_bench.jobs.job import Run
from drnn_bench.jobs.plan import Plan, Request, make_plan
from drnn_bench.jobs.reporter import Silent
from drnn_bench.search.storage import has_tables, open_storage
from drnn_bench.search.trial_facts import TrialFacts, count_trials, fills_place

DRIVER_EVERY = 3  # kills, one hits the driver; the others hit a trainer
ANY_MOMENT = 0.2  # share of the kills that do not wait until a trial is running


class NoSpeeds(AfterSearch):
    def speeds(self, executor: Executor) -> None:
        pass

    def complete(self) -> bool:
        return False  # speeds count there


class WithoutSpeed(Run):
    """A run that times no finalist, which takes longest."""

    make_after = NoSpeeds


def undisturbed(folder: Path, **request: Any) -> Plan:
    """Searches and trains the finals with one trainer, and is left in peace: what others are
    held to."""
    plan = make_plan(Request(runs_dir=str(folder), device="cpu", workers=1, **request))
    WithoutSpeed(plan, Silent()).run()
    return plan


def words(request: dict[str, Any]) -> list[str]:
    """The same request on the command line of `bench run`."""
    families = [f"--family={family}" for family in request["families"]]
    return families + [f"--{name}={value}" for name, value in request.items() if name != "families"]


def trainer_pids(folder: Path) -> list[int]:
    """The processes of a run in this folder: its trainers and the one that forks them."""
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"drnn_bench.execution.fork_server" in words and Path(f"/proc/{pid}/cwd").samefile(
                folder
            ):
                pids.append(int(pid))
    return sorted(pids)


def studies(storage: str) -> dict[str, list[FrozenTrial]]:
    """Every study's trials; none before a search was begun there."""
    with contextlib.suppress(JobError):
        if has_tables(storage):
            opened = _opened(storage)
            return {
                name: optuna.load_study(study_name=name, storage=opened).get_trials(deepcopy=False)
                for name in optuna.get_all_study_names(opened)
            }
    return {}


@functools.cache
def _opened(storage: str) -> optuna.storages.RDBStorage:
    return open_storage(storage, create=False)


def at_work(storage: str, began: datetime) -> bool:
    """Whether a driver that began then has a trial running, or trains finals. What a driver before
    it left behind still counts as running, until it is asked for again."""
    trials = [t for s in studies(storage).values() for t in s]
    left = [t for t in trials if t.state in (TrialState.RUNNING, TrialState.WAITING)]
    if trials and not left:
        return True
    return any(t.datetime_start is not None and t.datetime_start > began for t in left)


def besiege(
    command: list[str],
    folder: Path,
    storage: str,
    *,
    kills: int,
    seed: int,
    pause: float,
    env: dict[str, str],
) -> Counter:
    """Runs a command in a folder, kills at most so many of its processes, and runs it again until
    it ends well. A kill comes up to `pause` seconds after the run is seen at work, or at any
    moment. Returns how many trainers and drivers were killed."""
    rng, killed = random.Random(seed), Counter()
    for process in _attempts(command, folder, env):
        began = datetime.now()
        while process.poll() is None and killed.total() < kills:
            if rng.random() > ANY_MOMENT:
                while process.poll() is None and not at_work(storage, began):
                    time.sleep(0.05)
            time.sleep(rng.uniform(0, pause))
            if killed.total() % DRIVER_EVERY == DRIVER_EVERY - 1:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                    killed["drivers"] += 1
            elif pids := trainer_pids(folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(pids), signal.SIGKILL)
                    killed["trainers"] += 1
    return killed


def _attempts(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Starts the command until it ends with exit code 0. A traceback is a defect."""
    while True:
        with (folder / "output").open("w+") as output:
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
            yield process
            code = process.wait()
            output.seek(0)
            printed = output.read()
        if code == 0:
            return
        if code != -signal.SIGKILL or "Traceback" in printed:
            raise RuntimeError(f"exit code {code}:\n{printed}")


def faults(storage: str, undisturbed: str, trials: int) -> list[str]:
    """What is wrong with the studies of a storage: trials lost, doubled, left running or other
    than in the undisturbed search; a line on each."""
    expected, actual = studies(undisturbed), studies(storage)
    lines = [f"{name}: lost" for name in expected.keys() - actual.keys()]
    for name, all_trials in actual.items():
        count = count_trials(all_trials)
        if (count.done, count.running, count.waiting) != (trials, 0, 0):
            lines.append(f"{name}: {count}")
        places = Counter(TrialFacts.of(t).place for t in _done(all_trials))
        lost, doubled = set(range(trials)) - places.keys(), {p for p, n in places.items() if n > 1}
        lines += [f"{name}: place {place} is lost" for place in sorted(lost)]
        lines += [f"{name}: place {place} is doubled" for place in sorted(doubled)]
        before = {TrialFacts.of(t).place: t for t in _done(expected.get(name, []))}
        for trial in _done(all_trials):
            twin = before.get(TrialFacts.of(trial).place)
            if twin and (trial.params, trial.value) != (twin.params, twin.value):
                result = f"{trial.params} gave {trial.value}"
                lines.append(
                    f"{name}: place {TrialFacts.of(trial).place}: {result}, undisturbed "
                    f"{twin.params} {twin.value}"
                )
    return lines


def _done(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return [t for t in trials if fills_place(t)]


def row_faults(folder: Path, undisturbed: Path, seeds: int, sessions: int = 1) -> list[str]:
    """What is wrong with the rows of a finished run: each study has one summary, as many sessions
    of throughput as it should, and one final for each seed, of the very values and weights that
    an undisturbed run gave."""
    rows, expected = (_rows(runs) for runs in (folder, undisturbed))
    lines = [f"row {key} is doubled" for key, n in Counter(r["id"] for r in rows).items() if n > 1]
    for study in {row["study"] for row in expected}:
        roles = {role: [r for r in rows if (r["study"], r["role"]) == (study, role)]
                 for role in ("study", "final", "speed")}  # fmt: skip
        finals = Counter(row["seed"] for row in roles["final"])
        if len(roles["study"]) != 1:
            lines.append(f"{study}: {len(roles['study'])} summaries")
        if len(finals) != seeds or finals.total() != seeds:
            lines.append(f"{study}: finals by seed {dict(finals)}")
        if (timed := len({row["session"] for row in roles["speed"]})) != sessions:
            lines.append(f"{study}: {timed} sessions of throughput")
    outcomes, before = (sorted(map(_outcome, r)) for r in (rows, expected))
    lines += [f"a final came out otherwise: {one}" for one in outcomes if one not in before]
    return lines


def _rows(runs_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (runs_dir / "records.jsonl").read_text().splitlines()]


def _outcome(row: dict[str, Any]) -> str:
    """What must be the same in two runs of one final."""
    keys = ("study", "seed", "config", "validation", "test", "curve", "weights")
    return json.dumps({key: row.get(key) for key in keys} if row["role"] == "final" else None)
