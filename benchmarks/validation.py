"""Which share of a trial its evaluations take: seconds of the processor, family by family.

    python benchmarks/validation.py [--task pixel_digits] [--data-dir FOLDER] [--steps 1000]

A few training steps and one evaluation are timed, and counted as often as a trial has them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from drnn_bench.models.build import configure
from drnn_bench.models.names import FAMILIES
from drnn_bench.results.recipe import Recipe
from drnn_bench.system.allocator import keep_freed_memory
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.loop import _Run

OPTIONS = {  # that fit 64 steps; else the defaults
    "dilated_rnn": {"depth": 5},
    "skip_rnn": {"depth": 2, "skip": 4},
    "clockwork_rnn": {"modules": 4},
    "dilated_cnn": {"depth": 5},
    "tcn": {"depth": 4, "kernel": 3},
}


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Of one call, after one that does not count."""
    run()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="pixel_digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--budget", type=int, default=5_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a trainer does
    task, recipe = parse_task(options.task), Recipe()
    with tempfile.TemporaryDirectory() as folder:
        arrays = prepare(task, options.data_dir, Path(folder)).arrays()
    evaluations = len(recipe.evaluation_steps(options.steps))
    print(f"{task.key}, {options.steps} steps, {evaluations} evaluations.\n")
    print("| family | a step, ms | an evaluation, ms | share |\n|---|---:|---:|---:|")
    for family in FAMILIES:
        sizes = {"input_size": task.input_size, "output_size": task.output_size}
        chosen = OPTIONS.get(family, {})
        net = configure(family, **sizes, **chosen, budget=options.budget, length=task.length)
        run = _Run(net, task, arrays, recipe, 1e-3, options.steps, 0, "cpu")
        step, evaluation = seconds(run.train_step, 7), seconds(run.evaluate, 3)
        whole = options.steps * step + evaluations * evaluation
        share = evaluations * evaluation / whole
        print(f"| {family} | {1e3 * step:.1f} | {1e3 * evaluation:.0f} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
