"""Which share of the machine's bandwidth the scans of linear recurrences reach, on one core.

    python benchmarks/bandwidth.py [--steps 16384] [--turns 5]

Tensors are larger than the caches, so a scan can at best be as fast as a copy that moves as many
bytes. Counted are the numbers that a scan has to read and to write once: a minimal cell keeps its
gates and its states; backward it reads both, and reads and writes the gradients of the states. (A
layer of S4D or of the LRU keeps nearly nothing: see the note on them.) Copy and scans take turns;
figures are medians.

Legend: B sequences, T steps, I inputs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from drnn_bench.cells.registry import find_cell
from drnn_bench.kernels import fused, fused_cells
from drnn_bench.kernels.registers import COLUMNS
from drnn_bench.models.build import build
from drnn_bench.system.allocator import keep_freed_memory
from drnn_bench.system.provenance import processor

BLOCKS, UNITS = 2, 32


def minimal(cell: str, steps: int) -> Callable[[], tuple[float, float]]:
    """Seconds within the kernels of one layer that reads one number a step."""
    net = build(cell, input_size=1, output_size=1, width=UNITS, depth=1)
    x_BTI = torch.randn(BLOCKS * COLUMNS, steps, 1)
    spent = [0.0, 0.0]
    fused.ready(cell)  # compiles the kernels, before others stand in their places

    def timed(at: int, kernel: Callable) -> Callable:
        def call(arguments: Any) -> None:
            began = time.perf_counter()
            kernel(arguments)
            spent[at] += time.perf_counter() - began

        return call

    def run() -> tuple[float, float]:
        own = fused_cells.KERNELS[cell]
        spent[:] = 0.0, 0.0
        fused_cells.KERNELS[cell] = tuple(timed(at, kernel) for at, kernel in enumerate(own))
        try:
            net(x_BTI).sum().backward()
        finally:
            fused_cells.KERNELS[cell] = own
        return spent[0], spent[1]

    return run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=16_384)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as where nets train
    keep_freed_memory()
    states = 4 * BLOCKS * options.steps * UNITS * COLUMNS  # bytes of H numbers a step
    moved = {}  # in states
    for cell in ("min_gru", "min_lstm"):
        gates = find_cell(cell).fused.gates
        moved[cell] = (gates + 1, gates + 3)
    source = torch.randn(states // 4)
    target = torch.empty_like(source)
    print(f"{processor()}, load {os.getloadavg()[0]:.1f}; {states / 2**20:.0f} MiB of states.\n")
    print("| scan | | ms | GB/s | a copy, GB/s | share |\n|---|---|---:|---:|---:|---:|")
    for name in moved:
        run = minimal(name, options.steps)
        run()
        copies: list[float] = []
        scans: list[tuple[float, float]] = []
        for _ in range(options.turns):
            began = time.perf_counter()
            target.copy_(source)
            copies.append(2 * states / (time.perf_counter() - began))
            scans.append(run())
        copy = statistics.median(copies)
        for way, times, parts in zip(
            ("forward", "backward"), zip(*scans, strict=True), moved[name], strict=True
        ):
            seconds = statistics.median(times)
            rate = parts * states / seconds
            print(
                f"| {name} | {way} | {1e3 * seconds:.0f} | {rate / 1e9:.1f} | {copy / 1e9:.1f} | "
                f"{rate / copy:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
