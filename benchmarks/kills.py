"""Kills the workers and the parent of a search at random moments, again and again, and then says
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
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnn_bench.database import TrialLock
from drnn_bench.errors import JobError
from drnn_bench.plan import Plan, Request, make_plan
from drnn_bench.search import Search
from drnn_bench.storage import MAX_RETRIES, has_tables, open_storage
from drnn_bench.studies import tally

PARENT_EVERY = 3  # kills, one hits the parent; the others hit a worker
ANY_MOMENT = 0.2  # share of the kills that do not wait until a trial is running


def undisturbed(folder: Path, **request: Any) -> Plan:
    """Searches with one worker, in this process; its storage is then what others are held to."""
    plan = make_plan(Request(runs_dir=str(folder), device="cpu", **request))
    storage = open_storage(plan.storage)
    specs = list(plan.specs)
    Search(storage, TrialLock(storage), specs, plan.trials, plan.prepared, "cpu", "one").work()
    return plan


def words(request: dict[str, Any]) -> list[str]:
    """The same request on the command line of `bench run`."""
    families = [f"--family={family}" for family in request["families"]]
    return families + [f"--{name}={value}" for name, value in request.items() if name != "families"]


def worker_pids(folder: Path) -> dict[str, int]:
    """The worker processes that work in this folder, by their names."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if "drnn_bench.worker_main" in words and Path(f"/proc/{pid}/cwd").samefile(folder):
                found[words[words.index("drnn_bench.worker_main") + 1]] = int(pid)
    return found


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


def running(storage: str) -> list[FrozenTrial]:
    return [t for s in studies(storage).values() for t in s if t.state == TrialState.RUNNING]


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
    it ends well. A kill comes up to `pause` seconds after a trial is seen running, or at any
    moment. Returns how many workers and parents were killed."""
    rng, killed = random.Random(seed), Counter()
    for process in _attempts(command, folder, env):
        while process.poll() is None and killed.total() < kills:
            if rng.random() > ANY_MOMENT:
                while process.poll() is None and not running(storage):
                    time.sleep(0.05)
            time.sleep(rng.uniform(0, pause))
            if killed.total() % PARENT_EVERY == PARENT_EVERY - 1:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                    killed["parents"] += 1
                    _until_gone(folder)
            elif victim := _victim(folder, storage, rng):
                os.kill(victim, signal.SIGKILL)
                killed["workers"] += 1
    return killed


def _attempts(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Starts the command until it ends with exit code 0. It may end with 1 in one line, where
    too many of its workers died; a traceback is a defect."""
    while True:
        with (folder / "output").open("w+") as output:
            process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
            yield process
            code = process.wait()
            output.seek(0)
            said = output.read()
        if code == 0:
            return
        if code not in (1, -signal.SIGKILL) or "Traceback" in said:
            raise RuntimeError(f"exit code {code}:\n{said}")


def _until_gone(folder: Path, limit: float = 300) -> None:
    """A parent's workers end with it, by themselves."""
    for _ in range(round(limit / 0.05)):
        if not worker_pids(folder):
            return
        time.sleep(0.05)
    raise RuntimeError(f"workers outlive their parent: {worker_pids(folder)}")


def _victim(folder: Path, storage: str, rng: random.Random) -> int | None:
    """One worker; none whose trial would be given up for it, and another drawn in its place."""
    spared = {
        trial.user_attrs.get("worker")
        for trial in running(storage)
        if trial.user_attrs.get("retries", 0) >= MAX_RETRIES
    }
    pids = [pid for name, pid in sorted(worker_pids(folder).items()) if name not in spared]
    return rng.choice(pids) if pids else None


def faults(storage: str, undisturbed: str, trials: int) -> list[str]:
    """What is wrong with the studies of a storage: trials lost, doubled, left running or other
    than in the undisturbed search; a line on each."""
    wanted, found = studies(undisturbed), studies(storage)
    lines = [f"{name}: lost" for name in wanted.keys() - found.keys()]
    for name, all_trials in found.items():
        count = tally(all_trials)
        if (count.done, count.running, count.waiting) != (trials, 0, 0):
            lines.append(f"{name}: {count}")
        places = Counter(t.user_attrs["index"] for t in _done(all_trials))
        lost, doubled = set(range(trials)) - places.keys(), {p for p, n in places.items() if n > 1}
        lines += [f"{name}: place {place} is lost" for place in sorted(lost)]
        lines += [f"{name}: place {place} is doubled" for place in sorted(doubled)]
        before = {t.user_attrs["index"]: t for t in _done(wanted.get(name, []))}
        for trial in _done(all_trials):
            twin = before.get(trial.user_attrs["index"])
            if twin and (trial.params, trial.value) != (twin.params, twin.value):
                found_it = f"{trial.params} gave {trial.value}"
                lines.append(
                    f"{name}: place {trial.user_attrs['index']}: {found_it}, undisturbed "
                    f"{twin.params} {twin.value}"
                )
    return lines


def _done(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    finished = (TrialState.COMPLETE, TrialState.PRUNED)
    return [t for t in trials if t.state in finished and "infeasible" not in t.user_attrs]


def row_faults(records: Path, studies: set[str], seeds: int) -> list[str]:
    """What is wrong with the rows of a finished run: each study has one summary, one final for
    each seed, and its throughput was measured in one session."""
    rows = [json.loads(line) for line in records.read_text().splitlines()]
    lines = [f"row {key} is doubled" for key, n in Counter(r["id"] for r in rows).items() if n > 1]
    for study in studies:
        roles = {role: [r for r in rows if (r["study"], r["role"]) == (study, role)]
                 for role in ("study", "final", "speed")}  # fmt: skip
        finals = Counter(row["seed"] for row in roles["final"])
        if len(roles["study"]) != 1:
            lines.append(f"{study}: {len(roles['study'])} summaries")
        if len(finals) != seeds or finals.total() != seeds:
            lines.append(f"{study}: finals by seed {dict(finals)}")
        if len({row["session"] for row in roles["speed"]}) != 1:
            lines.append(f"{study}: not one session of throughput")
    return lines
