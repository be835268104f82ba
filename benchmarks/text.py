"""Training on characters: the fused kernel against torch's own on the reshaped sequence.

    python benchmarks/text.py [--parameters 60000] [--turns 9]

Dilated nets of 50 symbols, 128 sequences of 100 steps, every step scored: the whole step with
loss, gradients, clipping and Adam, one thread. Symbols are looked up in the first layer's weights,
as one-hot vectors are multiplied with them, or in a table of an embedding before it. The two
kernels take turns; ratios are of medians.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

from drnn_bench import kernels
from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.speed.workload import Runner, Workload
from drnn_bench.system.allocator import keep_freed_memory
from drnn_bench.system.provenance import processor

SYMBOLS, STEPS, DEPTH = 50, 100, 5
FORMS = {"one-hot": {}, "embedding of 16": {"embedding": 16}}


def seconds(runner: Runner, kernel: str) -> float:
    with kernels.forced(kernel):
        began = time.perf_counter()
        runner.train()
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parameters", type=int, default=60_000)
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    keep_freed_memory()
    print(f"{processor()}, load {os.getloadavg()[0]:.1f}.\n")
    print("| cell | input | units | fused, ms | torch, ms | ratio |")
    print("|---|---|---:|---:|---:|---:|")
    for cell in ("gru", "lstm", "rnn"):
        for name, form in FORMS.items():
            net = configure(
                "dilated_rnn", input_size=SYMBOLS, output_size=SYMBOLS, length=STEPS,
                budget=options.parameters, cell=cell, depth=DEPTH, **form,
            )  # fmt: skip
            work = Workload(
                architecture=net, recipe=Recipe(), length=STEPS, scored=STEPS, last=None,
                symbols=True,
            )  # fmt: skip
            runner = Runner(work, "cpu")
            took: dict[str, list[float]] = {"fused": [], "torch": []}
            for _ in range(2 + options.turns):
                for kernel, times in took.items():
                    times.append(1e3 * seconds(runner, kernel))
            fused, torch = (statistics.median(times[2:]) for times in took.values())
            print(
                f"| {cell} | {name} | {max(net.widths)} | {fused:.0f} | {torch:.0f} | "
                f"{torch / fused:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
