"""How the cost of dilated nets grows, against torch and against the floor of this machine.

    python benchmarks/scale.py [gru] [lstm] [rnn] [--seconds 3]      # some 20 minutes for all

Sequences of 64 to 16,384 steps, 1 to 14 layers of dilation 1, 2, 4, ..., batches of 1 to 1,024 at 4
to 256 units a layer. All steps are read. One thread; the two kernels take turns, so ratios hold
where times do not.

chosen      what runs where nobody names a kernel
torch/fused torch's kernels on the reshaped sequence over the fused one; ! where what is chosen is
            slower than the other by over 5 %
floor       the fused kernel over the arithmetic alone at this core's peak (benchmarks/kernels.py)
ns          the fused kernel, for each step, sequence, layer and unit: level where cost is linear

Legend: T steps, B batch, H units, L layers.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math
import statistics
from collections.abc import Callable

import kernels as timing
import torch

from drnn_bench import kernels
from drnn_bench.kernels import fused
from drnn_bench.models.build import build
from drnn_bench.system.allocator import keep_freed_memory
from drnn_bench.system.provenance import processor

MIDDLE = {"T": 512, "B": 64, "H": 20, "L": 9}
LENGTHS, DEPTHS = (64, 256, 1_024, 4_096, 16_384), (1, 4, 9, 14)
BATCHES = (1, 4, 16, 32, 64, 96, 256, 1_024)
WIDTHS = (4, 20, 32, 48, 64, 128, 256)
SLOWER = 1.05


def points() -> list[dict[str, int]]:
    """Lengths, of four layers, as memory is not for more; depths; every width at every batch, but
    for the largest together."""
    lengths = [MIDDLE | {"T": steps, "L": 4} for steps in LENGTHS]
    depths = [MIDDLE | {"L": layers} for layers in DEPTHS]
    sizes = [(batch, width) for width in WIDTHS for batch in BATCHES if batch * width <= 2**15]
    return [*lengths, *depths, *(MIDDLE | {"B": batch, "H": width} for batch, width in sizes)]


def contenders(cell: str, point: dict[str, int]) -> tuple[dict[str, Callable], dict[bool, str]]:
    """Kernel -> a training step or inference; and what is chosen, in training and not."""
    torch.manual_seed(0)
    x = torch.randn(point["B"], point["T"], 1)
    options = {"cell": cell, "width": point["H"], "depth": point["L"]}
    net = build("dilated_rnn", input_size=1, output_size=10, **options)
    net.head = timing.NoHead()

    def forced(name: str) -> Callable[[], torch.Tensor]:
        def run() -> torch.Tensor:
            with kernels.forced(name):
                return net(x)

        return run

    chosen = {}
    for train in (True, False):
        with torch.set_grad_enabled(train):
            kernels.used()
            net(x)
            chosen[train] = str(kernels.used())
    weights = list(net.parameters())
    return {name: timing.both(forced(name), weights) for name in ("fused", "torch")}, chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", metavar="CELL", help="gru, lstm, rnn; default: all")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each point and direction")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as where nets train
    keep_freed_memory()
    timing.SECONDS = options.seconds
    rate = timing.rates()
    print(f"{processor()}, torch {torch.__version__}, load {os.getloadavg()[0]:.1f} before.\n")
    print("| cell | T | B | H | L | chosen | train: ms | torch/fused | floor | ns "
          "| infer: ms | torch/fused | floor | ns |")  # fmt: skip
    print(f"|---|{'---:|' * 4}---|{'---:|' * 8}", flush=True)
    for cell in options.cells or timing.CELLS:
        fused.ready(cell)
        for point in points():
            runs, chosen = contenders(cell, point)
            cells = [
                cell,
                *(f"{point[name]:,}" for name in MIDDLE),
                "/".join(dict.fromkeys(chosen.values())),
            ]
            for train in (True, False):
                bound = timing.floor(cell, tuple(point[n] for n in "TBHL"), train, rate)
                seconds = timing.interleaved(runs, train)
                cells += figures(seconds, chosen[train], math.prod(point.values()), bound)
            print(f"| {' | '.join(cells)} |", flush=True)


def figures(seconds: dict[str, list[float]], chosen: str, count: int, bound: float) -> list[str]:
    middle = {kind: statistics.median(times) for kind, times in seconds.items()}
    ours, slower = middle["fused"], middle[chosen] > SLOWER * min(middle.values())
    return [
        f"{ours * 1e3:,.1f}",
        f"{middle['torch'] / ours:.2f}{' !' * slower}",
        f"{ours / bound:.1f}",
        f"{ours / count * 1e9:.2f}",
    ]


if __name__ == "__main__":
    main()
