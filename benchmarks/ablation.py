"""What each optimisation of the fused kernels is worth: the time of a training step without it.

    python benchmarks/ablation.py

For each optimisation a copy of the package is changed, and the copies take turns in processes of
their own: T=784, B=128, 9 layers of 20 units, all outputs, one thread.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "drnn_bench"
CELLS, TURNS = ("gru", "lstm", "rnn"), 5
# Name -> (file, the text there now, the text without the optimisation).
STEPS = {
    "as it is": (),
    "Python's division": ("compiled.py", '"error_model": "numpy", ', ""),
    "rows of one register": ("registers.py", "COLUMNS = 64 if", "COLUMNS = 16 if"),
    "weight gradients 2 x 2": (
        "products.py",
        "BIG, LESS = (FIVE, FOUR) if WIDE else ((0,) * 3, (0,) * 2)",
        "BIG, LESS = (0,) * 2, ONE",
    ),
    "gate gradients of all steps": ("workspace.py", "CHUNK = (8, 16)", "CHUNK = (784, 784)"),
    "gate gradients of one step": ("workspace.py", "CHUNK = (8, 16)", "CHUNK = (1, 1)"),
    "fresh memory each time": ("layout.py", "del _idle[:-_MOST_IDLE]", "_idle.clear()"),
    "copies that read the index anew": (
        "layout.py",
        "into[column, i] = source[i, column]",
        "x_TBI[t, first + column, i] = block[order[t], i, column]",
    ),
}
PROGRAM = """
import statistics, sys, time, torch
from drnn_bench import build, kernels
torch.set_num_threads(1)
x = torch.randn(128, 784, 1)
for cell in sys.argv[1:]:
    net = build("dilated_rnn", input_size=1, output_size=10, cell=cell, width=20, depth=9)
    net.head = type("NoHead", (torch.nn.Module,), {"kernel": 1, "forward": lambda s, h, n: h})()
    seconds = []
    for _ in range(9):
        started = time.perf_counter()
        with kernels.forced("fused"):
            net(x).sum().backward()
        seconds.append(time.perf_counter() - started)
    print(statistics.median(seconds[2:]))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, change in STEPS.items():
            copy = Path(folder) / name.replace(" ", "-") / "drnn_bench"
            shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
            if change:
                file, now, before = change
                source = (copy / "kernels" / file).read_text()
                if source.count(now) != 1:
                    sys.exit(f"{file} has changed: {now!r} is not there once")
                (copy / "kernels" / file).write_text(source.replace(now, before))
            timed(copy.parent)  # compiles
        results: dict[str, list[list[float]]] = {name: [] for name in STEPS}
        for _ in range(TURNS):
            for name, seconds in results.items():
                seconds.append(timed(Path(folder) / name.replace(" ", "-")))
    middle = {
        name: [statistics.median(cell) for cell in zip(*turns, strict=True)]
        for name, turns in results.items()
    }
    print(f"| without | {' | '.join(CELLS)} |\n|---|{'---:|' * len(CELLS)}")
    for name, seconds in middle.items():
        cells = [f"{s * 1e3:.0f} ms" for s in seconds]
        if name != "as it is":
            base = middle["as it is"]
            cells = [f"{s / b:.2f}" for s, b in zip(seconds, base, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


def timed(folder: Path) -> list[float]:
    """Seconds of a training step, cell by cell."""
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    environment["NUMBA_CACHE_DIR"] = str(folder / "cache")
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, *CELLS],
        cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    return [float(line) for line in output.split()]


if __name__ == "__main__":
    main()
