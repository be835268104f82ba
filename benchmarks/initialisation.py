"""Which initialisation trains best: every cell of the dilated RNN, on three tasks.

    python benchmarks/initialisation.py --data-dir MNIST_FOLDER

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

from drnn_bench.models.build import configure
from drnn_bench.models.layers import INITS
from drnn_bench.results.recipe import Recipe
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task

CASES = {  # task -> (depth, budget, steps, seeds)
    "pixel_digits": (6, 5_000, 600, 3),
    "copy_memory:T=100": (7, 8_000, 400, 2),
    "pixel_mnist_permuted": (9, 7_300, 300, 1),
}
RATES = (3e-3, 1e-2)


def train_one(case: tuple) -> tuple[tuple, float]:
    """The case without its seed, and its validation metric; NaN where the training diverged."""
    from drnn_bench.execution.carry import drain
    from drnn_bench.training.loop import Diverged, train

    prepared, cell, init, rate, seed = case
    task = prepared.task
    depth, budget, steps, _ = CASES[task.key]
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    architecture = configure(
        "dilated_rnn", **sizes, cell=cell, depth=depth, budget=budget, init=init
    )
    try:
        trained = drain(train(
            architecture, task, prepared.arrays(), Recipe(), learning_rate=rate, steps=steps,
            seed=seed
        ))  # fmt: skip
        return (task.key, cell, init, rate), trained.validation
    except Diverged:
        return (task.key, cell, init, rate), float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", help="the four MNIST files; else that task is left out")
    data_dir = parser.parse_args().data_dir
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        jobs = []
        for key, (*_, seeds) in CASES.items():
            if "mnist" in key and data_dir is None:
                continue
            prepared = prepare(parse_task(key), data_dir, Path(folder))
            grid = itertools.product(("rnn", "gru", "lstm"), INITS, RATES, range(seeds))
            jobs += [(prepared, *point) for point in grid]
        results: dict[tuple, list[float]] = {}
        for key, value in pool.map(train_one, jobs):
            results.setdefault(key, []).append(value)
    for (task, cell, init, rate), values in results.items():
        shown = " ".join(f"{v:.4f}" for v in values)
        mean = sum(values) / len(values)
        print(f"{task:22} {cell:5} {init:11} {rate:<6g} mean {mean:.4f}  ({shown})")


if __name__ == "__main__":
    main()
