"""Every family on one task, side by side: the best net of each search, and what it costs.

    python benchmarks/family_table.py mqar RUNS_DIR [RUNS_DIR]...

The folders have searches of the task, of different families, at one budget. Nets are timed in turns
on one thread, at a batch of 128 and, for a stream, of one; * marks a search without finals, whose
figure is its best validation.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from drnn_bench.jobs.runs_folder import read
from drnn_bench.models.registry import make_architecture
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.ranking import rank_rows
from drnn_bench.speed.compare import Candidate, measure_candidates
from drnn_bench.system.allocator import keep_freed_memory
from drnn_bench.tasks.registry import sized_task

HEAD = ("family", "best net", "parameters", "of the budget, %", "metric", "MRL", "state bytes",
        "MACs a step", "training steps a second", "microseconds a streamed step")  # fmt: skip


def lines_of(task: str, folders: list[str]) -> list[BoardLine]:
    """One line a family, the best first."""
    rows = [row for folder in folders for row in read(Path(folder))[0]]
    lines = [x for group in rank_rows(rows) for x in group.lines if x.task.startswith(task)]
    best = 1 if lines and lines[0].direction == "min" else -1
    return sorted(lines, key=lambda x: best * value(x))


def value(line: BoardLine) -> float:
    return line.validation_best if line.test_mean is None else line.test_mean


def main() -> None:
    name, *folders = sys.argv[1:]
    lines = lines_of(name, folders)
    task = sized_task(lines[0].task)
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    nets = [make_architecture(x.family, **sizes, **x.config) for x in lines]
    keep_freed_memory()
    measured = measure_candidates(
        [Candidate(x.family, net) for x, net in zip(lines, nets, strict=True)],
        task, lengths=[task.length], batches=[128], device="cpu", threads=1,
    )  # fmt: skip
    print(f"`{task.key}`, {lines[0].steps} training steps, {task.metrics[0].name}\n")
    print(f"| {' | '.join(HEAD)} |\n|---|---|{'---:|' * (len(HEAD) - 2)}")
    for x, net, speed in zip(lines, nets, measured, strict=True):
        mrl = "–" if x.mrl is None else "∞" if math.isinf(x.mrl) else f"{x.mrl:.1f}"
        cells = [
            x.family,
            net.words,
            f"{x.parameters:,}",
            f"{100 * x.parameters / x.budget:.1f}",
            f"{value(x):.4g}{' *' * (x.test_mean is None)}",
            mrl,
            f"{net.state_bytes_after(task.length):,}",
            f"{net.macs_per_step_over(task.length):,.0f}",
            f"{speed['train_per_s'] / 128:.1f}",
            f"{speed['stream_us']:.0f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
