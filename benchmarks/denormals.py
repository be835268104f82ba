"""What it is worth that numbers below 1e-38 count as zeros while a net trains.

    python benchmarks/denormals.py [--task copy_memory:T=500] [--budget 8000]

Training steps of one net a family, one thread, with and without in turns: a gradient that fades on
its way back through the steps passes through such numbers, with which some processors are slow.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.system.provenance import processor
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.loop import _Run

NETS = (
    ("rnn", {}),
    ("gru", {}),
    ("lstm", {}),
    ("dilated_rnn", {"cell": "gru", "depth": 8}),
    ("min_gru", {"depth": 3}),
    ("min_lstm", {"depth": 3}),
    ("clockwork_rnn", {}),
    ("dilated_cnn", {}),
    ("tcn", {"kernel": 3}),
    ("s4d", {}),
    ("lru", {}),
)
TURNS, STEPS = 9, 2


def milliseconds(step, run: _Run) -> float:
    began = time.perf_counter()
    for _ in range(STEPS):
        step(run)
    return 1e3 * (time.perf_counter() - began) / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="copy_memory:T=500")
    parser.add_argument("--budget", type=int, default=8_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = parse_task(options.task)
    with tempfile.TemporaryDirectory() as folder:
        arrays = prepare(task, None, Path(folder)).arrays()
    print(f"{processor()}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}; {task.key}.\n")
    print("| net | as they are, ms | as zeros, ms | ratio |\n|---|---:|---:|---:|")
    zeros, as_they_are = _Run.train_step, _Run.train_step.__wrapped__  # type: ignore[attr-defined]
    for family, chosen in NETS:
        sizes = {"input_size": task.input_size, "output_size": task.output_size}
        net = configure(family, **sizes, **chosen, budget=options.budget, length=task.length)
        run = _Run(net, task, arrays, Recipe(), 1e-3, 1_000, 0, "cpu")
        milliseconds(zeros, run)
        turns = [(milliseconds(as_they_are, run), milliseconds(zeros, run)) for _ in range(TURNS)]
        slow, fast = (statistics.median(times) for times in zip(*turns, strict=True))
        said = " ".join([family, *(f"{k}={v}" for k, v in chosen.items())])
        print(f"| {said} | {slow:.1f} | {fast:.1f} | {slow / fast:.2f} |", flush=True)


if __name__ == "__main__":
    main()
