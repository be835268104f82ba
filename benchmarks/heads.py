"""What an output layer from N(0, 1), as the paper's code has it, is worth behind several nets.

    python benchmarks/heads.py [--net NAME]...

prints, for two tasks, each net, output layer and learning rate, the validation metric: the mean
over two seeds. `uniform` is what nets have where nothing is said.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import tempfile
from pathlib import Path
from unittest import mock

from initialisation import COMMON

from drnn_bench.execution.carry import drain
from drnn_bench.models import layers
from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.tasks.prepared import Prepared, prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.training.loop import Diverged, train

ORTHOGONAL, _, PAPER = COMMON
CASES = {"pixel_digits": (6, 5_000, 600), "copy_memory:T=100": (7, 8_000, 400)}
RATES, SEEDS, HEADS = (1e-3, 3e-3, 1e-2, 3e-2), (0, 1), ("uniform", "paper")
NETS = {  # name -> (family, options, whether the task gives the depth)
    "dilated rnn": ("dilated_rnn", {"cell": "rnn", "init": ORTHOGONAL}, True),
    "dilated rnn, paper": ("dilated_rnn", {"cell": "rnn", "init": PAPER}, True),
    "dilated cnn": ("dilated_cnn", {}, True),
    "s4d": ("s4d", {"depth": 2}, False),
    "clockwork": ("clockwork_rnn", {"modules": 6}, False),
}


def trained(prepared: Prepared, name: str, head: str, rate: float, seed: int) -> float:
    """The validation metric; NaN where the training diverged."""
    task, (family, options, deep) = prepared.task, NETS[name]
    depth, budget, steps = CASES[task.key]
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    options = options | ({"depth": depth} if deep else {})
    net = configure(family, **sizes, **options, budget=budget, length=task.length)
    with mock.patch.object(layers.CausalHead, "__init__", _head(head)):
        job = train(
            net, task, prepared.arrays(), Recipe(), learning_rate=rate, steps=steps, seed=seed
        )
        try:
            return drain(job).validation
        except Diverged:
            return float("nan")


def _head(drawn: str):
    usual = layers.CausalHead.__init__

    def init(self, width: int, output_size: int, kernel: int = 1, init: str = "uniform") -> None:
        usual(self, width, output_size, kernel, drawn)

    return init


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", action="append", choices=list(NETS), help="default: all")
    names = parser.parse_args().net or list(NETS)
    with tempfile.TemporaryDirectory() as folder:
        for key in CASES:
            prepared = prepare(parse_task(key), None, Path(folder))
            for name, head, rate in itertools.product(names, HEADS, RATES):
                values = [trained(prepared, name, head, rate, seed) for seed in SEEDS]
                mean = sum(values) / len(values)
                print(f"{key:18} {name:19} {head:8} {rate:<6g} {mean:.4f}", flush=True)


if __name__ == "__main__":
    main()
