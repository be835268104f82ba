"""How well the search uses a machine, and what it loses when it is killed.

    python benchmarks/search.py [speedup] [overhead] [start] [kills] [kernels]

Each part runs real commands on real digits in a temporary folder, and prints one section; without
a name, all do. `kernels` wants MNIST's four files. On a quiet machine: the load is printed beside
the figures.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from kills import besiege, faults, row_faults, studies, undisturbed, words
from optuna.trial import FrozenTrial

from drnn_bench.search.trial_facts import TrialFacts
from drnn_bench.system.provenance import processor

ROOT = Path(__file__).parent.parent
RUN = [sys.executable, str(ROOT / "bench.py"), "run"]
HONEST = ["--sampler=random", "--pruner=none", "--seeds=1", "--family=dilated_rnn"]
# Every trial takes as long as the next: the tail, where trainers wait for the last one, is short.
SPACE = """family = "dilated_rnn"
[space]
cell = "gru"
base = 2
start = 0
depth = 6
learning_rate = { low = 1e-3, high = 1e-2, log = true }
"""
RECURRENT = ("dilated_rnn", "lstm", "gru", "rnn", "clockwork_rnn")
SIEGE = {"families": ("dilated_rnn", "lstm"), "trials": 12, "steps": 40, "seeds": 1,
         "sampler": "random", "pruner": "none"}  # fmt: skip
EACH = 40  # kills of one search: they reach its finals and speed measurements too


PARTS = ("speedup", "overhead", "start", "kills", "kernels")


def begin(folder: Path, *options: str) -> subprocess.Popen:
    """Begins a search of equal trials in a new folder."""
    folder.mkdir(parents=True)
    (folder / "space.toml").write_text(SPACE)
    command = [*RUN, *HONEST, "--search-space=space.toml", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)


def end(folder: Path, process: subprocess.Popen) -> list[FrozenTrial]:
    """The trials of a search that was begun, when it is over."""
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, process.args)
    (trials,) = studies(f"sqlite:///{folder}/runs/studies.db").values()
    return trials


def search(folder: Path, *options: str) -> list[FrozenTrial]:
    return end(folder, begin(folder, *options))


def wall(trials: list[FrozenTrial]) -> float:
    """Seconds from the start of the first trial to the end of the last."""
    ends = max(t.datetime_complete for t in trials) - min(t.datetime_start for t in trials)
    return ends.total_seconds()


def speedup(folder: Path, trials: int, steps: int) -> list[str]:
    """A trainer on each core against one on the same trials, in turns, and against what the machine
    gives to as many searches that share nothing."""
    cores = min(4, len(os.sched_getaffinity(0)))
    seconds: dict[str, list[float]] = {"all": [], "one": [], "apart": []}
    for turn in range(2):
        for trainers, kind in ((cores, "all"), (1, "one")):
            options = (f"--workers={trainers}", f"--trials={trials}", f"--steps={steps}")
            seconds[kind].append(wall(search(folder / f"{kind}-{turn}", *options)))
        options = ("--workers=1", f"--trials={trials // cores}", f"--steps={steps}")
        begun = {
            f: begin(f, *options) for f in (folder / f"apart-{turn}-{i}" for i in range(cores))
        }
        together = [wall(end(at, process)) for at, process in begun.items()]
        seconds["apart"].append(statistics.mean(together))
        note(f"speed-up: {seconds}")
    several, one, apart = (statistics.mean(runs) for runs in seconds.values())
    shown = {kind: " and ".join(f"{s:.1f}" for s in runs) for kind, runs in seconds.items()}
    return [
        f"The same {trials} trials of {steps} steps, from the start of the first to the end of the "
        f"last, in turns: one trainer {shown['one']} s, {cores} trainers {shown['all']} s, {cores} "
        f"searches at once that share nothing, of {trials // cores} trials and one trainer each, "
        f"{shown['apart']} s. {3600 * trials / one:,.0f} trials an hour with one, "
        f"{3600 * trials / several:,.0f} with {cores}.",
        f"**{cores} trainers are {one / several:.2f} times as fast as one**; the machine gives "
        f"{cores} searches that share nothing {one / apart:.2f}.",
    ]


def overhead(folder: Path, seconds: float) -> list[str]:
    """The share of the trainers' time that is neither a training step nor an evaluation."""
    trainers = min(4, len(os.sched_getaffinity(0)))
    short = search(folder / "pace", f"--workers={trainers}", f"--trials={trainers}", "--steps=2000")
    pace = statistics.mean(TrialFacts.of(t).seconds for t in short) / 2000
    steps = max(1, round(seconds / pace))
    options = (f"--workers={trainers}", f"--trials={6 * trainers}", f"--steps={steps}")
    trials = search(folder / "overhead", *options)
    training = sum(TrialFacts.of(t).seconds for t in trials)
    # While each trainer has a trial: from the start of the first to the start of the last, every
    # trainer is at work, or waits for the driver.
    began = sorted(t.datetime_start for t in trials)
    ends = sorted(t.datetime_complete for t in trials)
    whole = sum((t.datetime_complete - t.datetime_start).total_seconds() for t in trials)
    gaps = trainers * (ends[-trainers] - began[0]).total_seconds()
    busy = sum(
        (min(t.datetime_complete, ends[-trainers]) - t.datetime_start).total_seconds()
        for t in trials
        if t.datetime_start < ends[-trainers]
    )
    share = 100 * (1 - (training / whole) * (busy / gaps))
    return [
        f"{len(trials)} trials of {training / len(trials):.1f} s on {trainers} trainers. The time "
        "of all trainers until the first of them has nothing left to do, less what their trials "
        "record as training and evaluation.",
        f"**{share:.2f} % of the time is outside training steps and evaluation** (to reach: 1).",
    ]


def start(folder: Path) -> list[str]:
    """From `bench run` to the first trial's first step, without the imports."""
    count = min(4, len(os.sched_getaffinity(0)))
    runs = [_start(folder / f"start-{turn}", count) for turn in range(5)]
    whole, parents, trainers = (statistics.median(column) for column in zip(*runs, strict=True))
    most, least = (statistics.median(w - p - share * o for w, p, o in runs) for share in (0, 1))
    return [
        f"Medians of 5 runs: {whole:.2f} s from typing `bench run` to the first trial, which "
        f"trains at once. Imports, timed in the same runs by Python itself "
        f"(PYTHONPROFILEIMPORTTIME): {parents:.2f} s in the parent, {trainers:.2f} s in each of "
        f"{count} trainers, which import while the parent opens the database.",
        f"**{least:.2f} s are left** (to reach: 0.93) of starting Python twice, reading the data, "
        "making the database and measuring a study's pace, as far as they do not hide behind the "
        f"trainers' imports; {most:.2f} s with those.",
    ]


def _start(folder: Path, count: int) -> tuple[float, float, float]:
    """Seconds until the first trial starts, and of imports in the parent and in a trainer."""
    folder.mkdir()
    (folder / "space.toml").write_text(SPACE)
    options = [f"--workers={count}", "--trials=100", "--steps=1000", "--search-space=space.toml"]
    storage, began = f"sqlite:///{folder}/runs/studies.db", time.time()
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [*RUN, *HONEST, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=errors,
            env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
        )  # fmt: skip
        while not (
            starts := [t.datetime_start for s in studies(storage).values() for t in s
                       if t.datetime_start is not None]
        ):  # fmt: skip
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.wait()
    whole = (min(starts) - datetime.fromtimestamp(began)).total_seconds()
    trainers_log = folder / "runs" / "trainers.log"
    return whole, _import_seconds(folder / "errors"), _import_seconds(trainers_log) / count


def _import_seconds(log: Path) -> float:
    """What `import time: SELF | CUMULATIVE | module` lines add up to, in microseconds there."""
    microseconds = re.findall(r"import time: +(\d+) \|", log.read_text())
    return sum(map(int, microseconds)) / 1e6


def kernels(folder: Path, data: str, steps: int) -> list[str]:
    """The same trials of a pixel_mnist search on our own kernels and on torch's, in turns."""
    options = ["--task=pixel_mnist", f"--data-dir={Path(data).resolve()}", "--budget=7.3k"]
    options += ["--sampler=random", "--pruner=none", "--seeds=1", "--trials=4", f"--steps={steps}"]
    options += [f"--family={family}" for family in RECURRENT]
    seconds: dict[str, list[float]] = {"auto": [], "torch": []}
    spent: dict[str, Counter] = {"auto": Counter(), "torch": Counter()}
    for turn in range(2):
        for kernel in seconds:
            at = folder / f"kernels-{kernel}-{turn}"
            at.mkdir()
            environment = os.environ | {"DRNN_BENCH_KERNEL": kernel}
            process = subprocess.Popen(
                [*RUN, *options], cwd=at, stdout=subprocess.DEVNULL, env=environment
            )
            storage = f"sqlite:///{at}/runs/studies.db"
            finish(process, storage, 4 * len(RECURRENT))
            by_name = studies(storage)
            seconds[kernel].append(wall([t for trials in by_name.values() for t in trials]))
            for name, trials in by_name.items():
                family = next(f for f in sorted(RECURRENT, key=len, reverse=True) if f in name)
                spent[kernel][family] += sum(TrialFacts.of(t).seconds for t in trials)
            note(f"kernels: {kernel} {seconds[kernel][-1]:.1f} s")
    ours, torchs = (statistics.mean(runs) for runs in seconds.values())
    by_family = ", ".join(f"{f} {spent['torch'][f] / spent['auto'][f]:.1f}" for f in RECURRENT)
    count = 4 * len(RECURRENT)
    shown = {kind: " and ".join(f"{s:.1f}" for s in runs) for kind, runs in seconds.items()}
    return [
        f"`bench run {' '.join(o for o in options if 'data-dir' not in o)}`, on the kernels that "
        f"are chosen ({shown['auto']} s for the {count} trials) and with DRNN_BENCH_KERNEL=torch "
        f"({shown['torch']} s), in turns: {3600 * count / ours:,.0f} trials an hour against "
        f"{3600 * count / torchs:,.0f}.",
        f"**{torchs / ours:.2f} times as many trials per hour** (to reach: 3). By the seconds of "
        f"each family's trials, evaluations included: {by_family}.",
    ]


def finish(process: subprocess.Popen, storage: str, trials: int) -> None:
    """Ends a run once its search has its trials: finals are not what is timed."""
    while process.poll() is None:
        done = [t for s in studies(storage).values() for t in s if t.state.is_finished()]
        if len(done) == trials:
            process.send_signal(signal.SIGINT)
            process.wait()
            return
        time.sleep(1.0)
    raise subprocess.CalledProcessError(process.returncode, process.args)


def kills(folder: Path, number: int) -> list[str]:
    """Runs whose trainers and drivers are killed at random moments, against undisturbed ones."""
    killed, wrong, searches = Counter(), [], 0
    while killed.total() < number:
        request = SIEGE | {"seed": searches}
        at = folder / f"kills-{searches}"
        at.mkdir()
        plan = undisturbed(at / "undisturbed", **request)
        storage = f"sqlite:///{at}/runs/studies.db"
        killed += besiege(
            [*RUN, *words(request)], at, storage,
            kills=min(EACH, number - killed.total()), seed=searches, pause=0.8,
            env=dict(os.environ),
        )  # fmt: skip
        wrong += faults(storage, plan.storage, plan.trials)
        wrong += row_faults(at / "runs", at / "undisturbed", plan.seeds)
        searches += 1
        note(f"kills: {killed.total()} in {searches} searches, {len(wrong)} faults")
    trials = searches * SIEGE["trials"] * len(SIEGE["families"])
    return [
        f"{killed['trainers']} trainers and {killed['drivers']} drivers killed by SIGKILL at "
        f"random moments, in {searches} searches of {trials} trials in all; each was continued by "
        "the same command and compared with an undisturbed one: its trials, their places, their "
        "values, its rows, the values and weights of its finals.",
        f"**{len(wrong)} trials or rows lost, doubled or changed** (to reach: 0).",
        *(f"- {line}" for line in wrong),
    ]


def note(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--trials", type=int, default=40, help="of the speed-up")
    parser.add_argument("--steps", type=int, default=1500, help="of a trial of the speed-up")
    parser.add_argument("--seconds", type=float, default=30, help="of a trial of the overhead")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--data-dir", help="of the kernels: MNIST's four files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = {
            "speedup": lambda: speedup(Path(folder), options.trials, options.steps),
            "overhead": lambda: overhead(Path(folder), options.seconds),
            "start": lambda: start(Path(folder)),
            "kills": lambda: kills(Path(folder), options.kills),
            "kernels": lambda: kernels(Path(folder), options.data_dir, 100),
        }
        for name in options.parts:
            if name not in PARTS:
                parser.error(f"unknown part {name!r}: known: {', '.join(PARTS)}")
        if "kernels" in (options.parts or PARTS) and options.data_dir is None:
            parser.error("kernels: give --data-dir")
        print("# The search, measured\n")
        print(f"`python benchmarks/{' '.join(['search.py', *sys.argv[1:]])}` on {processor()}.")
        for name in options.parts or parts:
            before = os.getloadavg()[0]
            note(f"{name} ...")
            lines = parts[name]()
            print(f"\n## {name}\n")
            print("\n".join(lines))
            print(f"Load of the machine: {before:.1f} before.", flush=True)


if __name__ == "__main__":
    main()
