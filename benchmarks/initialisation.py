"""Which initialisation trains best: recurrent nets with each of theirs, on three tasks.

    python benchmarks/initialisation.py [--data-dir MNIST_FOLDER] [--net NAME]...

prints, for each task, cell, initialisation and learning rate, the validation metric over seeds.
The defaults in models/layers.py follow from it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from drnn_bench.cells.inits import INITS
from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task

CASES = {  # task -> (depth, budget, steps, seeds)
    "pixel_digits": (6, 5_000, 600, 3),
    "copy_memory:T=100": (7, 8_000, 400, 2),
    "pixel_mnist_permuted": (9, 7_300, 300, 1),
}
RATES = (1e-3, 3e-3, 1e-2)
COMMON, GATED, TANH = INITS[:3], (*INITS[:3], "chrono"), (*INITS[:3], "identity")
NETS = {  # name -> (family, options, initialisations)
    "dilated rnn": ("dilated_rnn", {"cell": "rnn"}, TANH),
    "dilated gru": ("dilated_rnn", {"cell": "gru"}, GATED),
    "dilated lstm": ("dilated_rnn", {"cell": "lstm"}, GATED),
    "rnn": ("rnn", {"depth": 1}, TANH),
    "gru": ("gru", {"depth": 1}, GATED),
    "lstm": ("lstm", {"depth": 1}, GATED),
    "clockwork": ("clockwork_rnn", {"modules": 6}, ("orthogonal", "identity")),
}


def train_one(case: tuple) -> tuple[tuple, float]:
    """The case without its seed, and its validation metric; NaN where the training diverged."""
    from drnn_bench.execution.carry import drain
    from drnn_bench.training.loop import Diverged, train

    prepared, name, init, rate, seed = case
    task, (family, options, _) = prepared.task, NETS[name]
    depth, budget, steps, _ = CASES[task.key]
    if family == "dilated_rnn":
        options = {**options, "depth": depth}
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    architecture = configure(
        family, **sizes, **options, budget=budget, init=init, length=task.length
    )
    try:
        trained = drain(train(
            architecture, task, prepared.arrays(), Recipe(), learning_rate=rate, steps=steps,
            seed=seed
        ))  # fmt: skip
        return (task.key, name, init, rate), trained.validation
    except Diverged:
        return (task.key, name, init, rate), float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="the four MNIST files; else that task is left out")
    parser.add_argument("--net", action="append", choices=list(NETS), help="default: all")
    options = parser.parse_args()
    data_dir = options.data_dir
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        jobs = []
        for key, (*_, seeds) in CASES.items():
            if "mnist" in key and data_dir is None:
                continue
            prepared = prepare(parse_task(key), data_dir, Path(folder))
            for net in options.net or NETS:
                grid = itertools.product((net,), NETS[net][2], RATES, range(seeds))
                jobs += [(prepared, *point) for point in grid]
        results: dict[tuple, list[float]] = {}
        for key, value in pool.map(train_one, jobs):
            results.setdefault(key, []).append(value)
    for (task, net, init, rate), values in results.items():
        shown = " ".join(f"{v:.4f}" for v in values)
        mean = sum(values) / len(values)
        print(f"{task:22} {net:12} {init:11} {rate:<6g} mean {mean:.4f}  ({shown})")


if __name__ == "__main__":
    main()
