"""What pruning rules are worth: the best net found within equal seconds of training.

    python benchmarks/pruning.py train DRAWS.jsonl [--draws 40] [--text FILE] [--case NAME]...
    python benchmarks/pruning.py rules DRAWS.jsonl

`train` draws nets at random, trains each to its end, and appends its evaluations to a file; started
again it continues. `rules` replays searches on them: the same draws, in many random orders, under
each rule. A random draw does not depend on what came before it, so a replay is the very search that
the rule would have made with one trainer.

none    nothing is stopped
old     protocol 1: the worse half is stopped at a quarter and at half of the evaluations
new     protocol 2: the same, where the cut and the value differ by more than noise, and the cut is
        better than guessing (drnn_bench/search/pruning.py)
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import json
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from drnn_bench.jobs.plan import Plan, Request, make_plan
from drnn_bench.models.budget import Infeasible
from drnn_bench.search.pruning import Pruner, Scale, make_pruner
from drnn_bench.search.startup import StartupSampler
from drnn_bench.search.study import STARTUP, StudySpec
from drnn_bench.search.trial import TrialJob, trial_seed

FAMILIES = ("dilated_rnn", "lstm", "dilated_cnn")
CASES = {  # name -> (task, budget, steps)
    "digits": ("pixel_digits", 5_000, 400),
    "copying": ("copy_memory:T=200", 8_000, 800),
    "text": ("char_text:path={text}", 20_000, 300),
}
RULES = ("none", "old", "new")
ORDERS = 400  # random orders of the draws


@dataclass(frozen=True)
class Draw:
    """A trained draw. Each evaluation is its value, its standard error and the seconds so far; a
    draw that diverged has those before it did, and no value."""

    evaluations: list[list[float]]
    value: float | None
    seconds: float


def draw(plan: Plan, spec: StudySpec, place: int) -> TrialJob:
    """What a random search trains at a place."""
    task, space = plan.task, spec.make_space()
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    asked = {"budget": spec.budget, "length": task.length, "spans": task.needed_spans, **sizes}
    for attempt in itertools.count():
        study = optuna.create_study(sampler=StartupSampler(spec, place, attempt))
        try:
            drawn = space.draw(study.ask(), **asked)
        except Infeasible:
            continue
        return TrialJob(spec=spec, config=drawn.config.config, learning_rate=drawn.learning_rate,
                        seed=trial_seed(spec, place), device="cpu")  # fmt: skip
    raise AssertionError


def trained(job: TrialJob, plan: Plan) -> dict[str, Any]:
    """Seconds are the processor's: this may run beside other work, and be stopped meanwhile."""
    evaluations: list[list[float]] = []
    running, began = job.run(plan.prepared), time.process_time()
    while True:
        try:
            answer = next(running)
        except StopIteration as end:
            value, seconds = end.value.get("validation"), time.process_time() - began
            return {"evaluations": evaluations, "value": value, "seconds": seconds}
        evaluations.append([answer.value, answer.standard_error, time.process_time() - began])


def train(file: Path, cases: list[str], draws: int, text: str | None) -> None:
    known = {(row["case"], row["family"], row["place"]) for row in rows_of(file)}
    for case in cases:
        task, budget, steps = CASES[case]
        if case == "text" and text is None:
            continue
        plan = make_plan(
            Request(task=task.format(text=text), families=FAMILIES, budgets=(budget,), steps=steps,
                    sampler="random", pruner="none", runs_dir=str(file.parent / "pruning-data"),
                    device="cpu")
        )  # fmt: skip
        facts = {"direction": plan.task.direction, "margin": plan.task.margin,
                 "guessing": plan.prepared.guessing}  # fmt: skip
        for place in range(draws):
            for spec in plan.specs:
                if (case, spec.family, place) in known:
                    continue
                result = trained(draw(plan, spec, place), plan)
                row = {"case": case, "family": spec.family, "place": place, "result": result}
                with file.open("a") as opened:
                    opened.write(json.dumps(row | facts) + "\n")


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def pruner_of(rule: str, scale: Scale, evaluations: int) -> Pruner:
    if rule == "old":
        return make_pruner(
            "asha", Scale(scale.sign, 0.0, -scale.sign * float("inf")), evaluations, 0
        )
    return make_pruner("none" if rule == "none" else "asha", scale, evaluations, 0)


def replay(draws: list[Draw], rule: str, scale: Scale, seconds: float) -> tuple[float, int, int]:
    """The best value of a search that ends after so many seconds, how many trials it ended and how
    many of them it stopped."""
    pruner = pruner_of(rule, scale, max(len(d.evaluations) for d in draws))
    seen: dict[int, list[float]] = {rung: [] for rung in pruner.rungs}
    best, spent, stopped, place = scale.guessing, 0.0, 0, 0
    for place, one in enumerate(draws):
        cost, pruned = one.seconds, False
        for number, (value, error, until) in enumerate(one.evaluations, 1):
            if number not in pruner.rungs:
                continue
            seen[number].append(value)
            pruner.standard_error = 0.0 if rule == "old" else error
            if place >= STARTUP and pruner.worse(value, seen[number]):
                cost, pruned = until, True
                break
        spent += cost
        if spent > seconds:
            return best, place, stopped
        stopped += pruned
        if not pruned and one.value is not None:
            best = scale.sign * max(scale.sign * best, scale.sign * one.value)
    return best, place + 1, stopped


def rules(file: Path) -> None:
    rows = rows_of(file)
    print("| task | family | draws | seconds | rule | best validation | standard error | trials |"
          " stopped |\n|---|---|---:|---:|---|---:|---:|---:|---:|")  # fmt: skip
    for case, family in dict.fromkeys((row["case"], row["family"]) for row in rows):
        mine = [r for r in rows if (r["case"], r["family"]) == (case, family)]
        draws = [Draw(**row["result"]) for row in mine]
        first = mine[0]
        sign = 1 if first["direction"] == "max" else -1
        scale = Scale(sign, first["margin"], first["guessing"])
        # As long as twenty trials take without pruning, or half of all draws.
        seconds = min(20, len(draws) // 2) * statistics.mean(d.seconds for d in draws)
        for rule in RULES:
            rng, ends = random.Random(0), []
            for _ in range(ORDERS):
                ends.append(replay(rng.sample(draws, len(draws)), rule, scale, seconds))
            best, trials, stopped = zip(*ends, strict=True)
            error = statistics.stdev(best) / ORDERS**0.5
            print(f"| {case} | {family} | {len(draws)} | {seconds:.0f} | {rule} "
                  f"| {statistics.mean(best):.4f} | {error:.4f} | {statistics.mean(trials):.1f} "
                  f"| {statistics.mean(stopped):.1f} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("train", "rules"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--text", help="a text; else that case is left out")
    parser.add_argument("--case", action="append", choices=CASES)
    options = parser.parse_args()
    if options.part == "train":
        train(options.file, options.case or list(CASES), options.draws, options.text)
    else:
        rules(options.file)


if __name__ == "__main__":
    main()
