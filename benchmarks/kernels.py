"""How fast the layer scan is, kernel by kernel, and how near to the floor of this machine.

    python benchmarks/kernels.py              # the grid: some 15 minutes
    python benchmarks/kernels.py --point      # T=784, B=128, 9 layers of 20 only
    python benchmarks/kernels.py --families   # other families and cells, at that length and batch

Recurrent layers alone, without an output layer. One thread, one process; the kernels take turns
(fused torch nn fused torch nn ...), so that what slows the machine slows them all: ratios are of
medians, and ± is half the distance of the quartiles. `nn` is a plain stack of torch's own layers
of the same size, undilated. The floor is the time of the multiply-adds at this core's measured peak
and of the activations at the measured rate of ours, without memory traffic. Memory is what one
training step adds to a fresh process.

Legend: T steps, B batch, H units, L layers of dilation 1, 2, 4, ...; outputs of all steps, or of
the last step only, for which a dilated stack computes only the chains that end there.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from drnn_bench import kernels
from drnn_bench.cells.registry import find_cell
from drnn_bench.kernels import fused
from drnn_bench.kernels.compiled import helper
from drnn_bench.kernels.layout import empty
from drnn_bench.kernels.products import tanh
from drnn_bench.kernels.registers import ROW
from drnn_bench.kernels.tiles import dot
from drnn_bench.kernels.vectors import constant, load, store, store_rows
from drnn_bench.models.build import build
from drnn_bench.system.provenance import processor

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
ACTIVATIONS = {"gru": 3, "lstm": 5, "rnn": 1}  # per unit and step
POINT = (784, 128, 20, 9)
GRID = [
    POINT,
    *((784, 128, h, 9) for h in (8, 32, 50, 64, 128)),
    (784, 32, 20, 9),
    (784, 512, 20, 9),
    (64, 128, 20, 6),
    (784, 128, 64, 1),
    (2000, 128, 20, 11),
]
FAMILIES = [
    ("skip_rnn", {"width": 20}),
    ("clockwork_rnn", {"budget": 21_500}),
    *((name, {"width": 20, "depth": 9}) for name in ("min_gru", "min_lstm", "indrnn", "lem")),
    ("dilated_cnn", {"width": 20, "depth": 10}),
    ("tcn", {"width": 20, "depth": 8, "kernel": 7}),
    ("s4d", {"width": 30, "states": 8}),
    ("lru", {"width": 30}),
    ("selective_ssm", {"width": 20}),
]
IN_BLOCKS = (
    "dilated_cnn",
    "tcn",
    "s4d",
    "lru",
    "selective_ssm",
)  # what they cost depends on the steps that are read
KINDS = ("fused", "torch", "nn")
REPEATS, LEAST, SECONDS = 9, 3, 10.0  # repeats at most and at least, and seconds for all kernels


@helper
def multiply_adds(w, x, out, count, times):
    zero = constant(0.0)
    for _ in range(times):
        store_rows(out, dot((zero, zero, zero, zero, zero), w, 4 * count, 4, x, count))


@helper
def activations(x, out, rows, times):
    for _ in range(times):
        for at in range(0, rows * ROW, ROW):
            store(out + at, tanh(load(x + at)))


def rates() -> tuple[float, float]:
    """Multiply-adds and activations per second of one core: the fastest of many runs."""
    memory = empty(100, ROW // 4)
    memory.fill_(0.01)
    w, x, out = (memory[i].data_ptr() for i in (0, 20, 80))
    row, count, times = ROW // 4, 50, 20_000
    adds = best(lambda: multiply_adds(w, x, out, count, times))
    acts = best(lambda: activations(x, out, 16, times))
    return 5 * row * count * times / adds, row * 16 * times / acts


def best(run: Callable[[], None]) -> float:
    return min(timed(run) for _ in range(20))


def timed(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def floor(cell: str, point: tuple, train: bool, rate: tuple[float, float]) -> float:
    """The floor in seconds, of all layers at all steps."""
    steps, batch, units, layers = point
    rows = find_cell(cell).gates * units
    first, other = rows * (1 + units), (layers - 1) * rows * 2 * units
    forward = steps * batch * (first + other)
    backward = 2 * forward - steps * batch * rows  # without the gradient of the inputs
    adds = forward + backward * train
    acts = steps * batch * layers * units * ACTIVATIONS[cell]
    return adds / rate[0] + acts / rate[1]


class NoHead(nn.Module):
    """Replaces the output layer, which is the same for every kernel."""

    kernel = 1

    def forward(self, h_TBH: torch.Tensor, last: int) -> torch.Tensor:
        return h_TBH


def contenders(cell: str, point: tuple, last: int | None) -> dict[str, Callable[[bool], None]]:
    """Kernel -> a training step's forward and backward (True), or inference (False)."""
    steps, batch, units, layers = point
    torch.manual_seed(0)
    x = torch.randn(batch, steps, 1)
    options = {"cell": cell, "width": units, "depth": layers}
    net = build("dilated_rnn", input_size=1, output_size=10, **options)
    net.head = NoHead()
    plain = CELLS[cell](1, units, layers, batch_first=True)

    def scan(name: str) -> Callable[[], torch.Tensor]:
        def run() -> torch.Tensor:
            with kernels.forced(name):
                return net(x, last=last)

        return run

    def stacked() -> torch.Tensor:
        y = plain(x)[0]
        return y if last is None else y[:, -last:]

    runs = {"fused": scan("fused"), "torch": scan("torch"), "nn": stacked}
    weights = [*net.parameters(), *plain.parameters()]
    return {kind: both(run, weights) for kind, run in runs.items()}


def both(run: Callable[[], torch.Tensor], weights: list) -> Callable[[bool], None]:
    def call(train: bool) -> None:
        with torch.set_grad_enabled(train):
            y = run()
        if train:
            y.sum().backward()
            for weight in weights:
                weight.grad = None

    return call


def interleaved(runs: dict[str, Callable[[bool], None]], train: bool) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {kind: [] for kind in runs}
    for run in runs.values():
        run(train)
    started = time.perf_counter()
    for turn in range(REPEATS):
        if turn >= LEAST and time.perf_counter() - started > SECONDS:
            break
        for kind, run in runs.items():
            seconds[kind].append(timed(lambda run=run: run(train)))
    return seconds


def compare(title: str, runs: dict[str, Callable[[bool], None]], floors: tuple | None) -> None:
    for train in (True, False):
        seconds = interleaved(runs, train)
        middle = {kind: statistics.median(s) for kind, s in seconds.items()}
        cells = [title, "train" if train else "infer"]
        for kind in KINDS:
            if kind in seconds:
                low, _, high = statistics.quantiles(seconds[kind], n=4)
                cells.append(f"{middle[kind] * 1e3:.1f} ± {(high - low) * 500:.1f}")
            else:
                cells.append("")
        for kind in KINDS[1:]:
            cells.append(f"{middle[kind] / middle['fused']:.2f}" if kind in middle else "")
        bound = floors and floors[0 if train else 1]
        cells += [f"{bound * 1e3:.1f}", f"{middle['fused'] / bound:.2f}"] if floors else ["", ""]
        print(f"| {' | '.join(cells)} |", flush=True)


def memory(cell: str, kind: str) -> int:
    """MB that a training step at the point adds to a fresh process."""
    command = [sys.executable, __file__, "--memory-of", json.dumps([cell, kind])]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory_here(cell: str, kind: str) -> int:
    """The MB that `memory` reports, in this process. A short training step runs first, so that
    libraries, code and thread pools do not count."""
    for steps in (10, POINT[0]):
        before = high_water()
        contenders(cell, (steps, *POINT[1:]), None)[kind](True)
    return (high_water() - before) // 1024


def high_water() -> int:
    """The most memory this process has held, in KB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def families(names: list[str]) -> None:
    steps, batch, *_ = POINT
    for family, settings in FAMILIES:
        if names and family not in names:
            continue
        net = build(family, input_size=1, output_size=10, **settings)
        x = torch.randn(batch, steps, 1)
        size = " ".join(f"{name}={value}" for name, value in settings.items())
        for last in (1, 10, None) if family in IN_BLOCKS else (1,):
            runs = {}
            for kind in ("fused", "torch"):

                def run(kind=kind, net=net, x=x, last=last) -> torch.Tensor:
                    with kernels.forced(kind):
                        return net(x, last=last)

                runs[kind] = both(run, list(net.parameters()))
            reads = {1: "last step", 10: "last 10 steps", None: "all steps"}[last]
            compare(f"{family} {size} T={steps} B={batch}, {reads}", runs, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", action="store_true", help="the one point only")
    parser.add_argument("--families", nargs="*", help="the other families only, or these of them")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as where nets train
    if options.memory_of:
        print(memory_here(*json.loads(options.memory_of)))
        return
    rate = rates()
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split()
    print(f"{processor()}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} before.")
    print(f"Flags: {' '.join(f for f in flags if f.startswith(('avx', 'fma')))}.")
    print(
        f"Multiply-adds {2 * rate[0] / 1e9:.0f} GFLOP/s, activations {1e9 / rate[1]:.3f} ns each.\n"
    )
    head = ["fused ms", "torch ms", "nn ms", "torch/fused", "nn/fused", "floor ms", "fused/floor"]
    print(f"| layers | | {' | '.join(head)} |\n|---|---|{'---:|' * len(head)}")
    for name in ("layout", "gru", "lstm", "rnn"):
        fused.ready(name)
    if options.families is not None:
        families(options.families)
        return
    for point in [POINT] if options.point else GRID:
        for cell in CELLS:
            bounds = tuple(floor(cell, point, train, rate) for train in (True, False))
            title = f"{cell} T={point[0]} B={point[1]} H={point[2]} L={point[3]}"
            compare(title, contenders(cell, point, None), bounds)
            if point == POINT:
                compare(f"{title}, last step", contenders(cell, point, 1), None)
    families()
    print(f"\n| memory of a training step, MB | {' | '.join(KINDS)} |\n|---|{'---:|' * len(KINDS)}")
    for cell in CELLS:
        used = [str(memory(cell, kind)) for kind in KINDS]
        print(f"| {cell} | {' | '.join(used)} |", flush=True)


if __name__ == "__main__":
    main()
