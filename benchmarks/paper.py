"""The nets of Chang et al. (2017) by the paper's recipe, one by one: on MNIST for its 30,000 steps,
on copying for 4,000, where a thousand are said to do.

    python benchmarks/paper.py --data-dir MNIST_FOLDER [--only NAME]... [--runs-dir paper-runs]

A queue for the background: one trainer, at the lowest priority. Every final is published into
`leaderboards/` as it ends. Started again it continues, also within a final. It is paused and goes
on by `kill -STOP -GROUP` and `kill -CONT -GROUP`, with the process group that it prints.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPACES = ROOT / "search_spaces" / "paper"


@dataclass(frozen=True)
class Fixed:
    """A net whose search space has one point."""

    name: str
    task: str
    space: str
    budget: int
    seeds: int
    steps: int = 30_000


PERMUTED, PLAIN = "pixel_mnist_permuted", "pixel_mnist"
COPYING, NOISY = "copy_memory:T=1000", "pixel_mnist_noisy:T=1000"
QUEUE = (
    Fixed("permuted-rnn", PERMUTED, "dilated_rnn_9x20", 7_300, 5),
    Fixed("permuted-cnn", PERMUTED, "dilated_cnn_10x20", 7_500, 5),
    Fixed("permuted-gru", PERMUTED, "dilated_gru_9x20", 21_300, 5),
    Fixed("permuted-lstm", PERMUTED, "dilated_lstm_9x20", 28_300, 5),
    Fixed("plain-rnn", PLAIN, "dilated_rnn_9x20", 7_300, 3),
    Fixed("plain-cnn", PLAIN, "dilated_cnn_10x20", 7_500, 3),
    Fixed("plain-gru", PLAIN, "dilated_gru_9x20", 21_300, 3),
    Fixed("plain-lstm", PLAIN, "dilated_lstm_9x20", 28_300, 3),
    Fixed("undilated-rnn", PERMUTED, "rnn_9x20", 7_300, 3),
    Fixed("undilated-gru", PERMUTED, "gru_9x20", 21_300, 3),
    Fixed("copying-rnn", COPYING, "copying/dilated_rnn_9x10", 2_000, 5, 4_000),
    Fixed("copying-gru", COPYING, "copying/dilated_gru_9x10", 5_800, 5, 4_000),
    Fixed("copying-lstm", COPYING, "copying/dilated_lstm_9x10", 7_700, 5, 4_000),
    Fixed("copying-undilated-rnn", COPYING, "copying/rnn", 7_700, 5, 4_000),
    Fixed("copying-undilated-gru", COPYING, "copying/gru_orthogonal", 7_700, 5, 4_000),
    Fixed("copying-undilated-gru-chrono", COPYING, "copying/gru_chrono", 7_700, 5, 4_000),
    Fixed("copying-undilated-lstm", COPYING, "copying/lstm_orthogonal", 7_700, 5, 4_000),
    Fixed("copying-undilated-lstm-chrono", COPYING, "copying/lstm_chrono", 7_700, 5, 4_000),
    Fixed("noisy-2", NOISY, "noisy/2_layers", 1_500, 3),
    Fixed("noisy-3", NOISY, "noisy/3_layers", 2_300, 3),
    Fixed("noisy-4", NOISY, "noisy/4_layers", 3_200, 3),
    Fixed("noisy-5", NOISY, "noisy/5_layers", 4_000, 3),
    Fixed("noisy-6", NOISY, "noisy/6_layers", 4_800, 3),
    Fixed("noisy-7", NOISY, "noisy/7_layers", 5_600, 3),
    Fixed("noisy-8", NOISY, "noisy/8_layers", 6_500, 3),
    Fixed("noisy-9", NOISY, "noisy/9_layers", 7_300, 3),
    # Of equal width, 20 units; at dilation 1 the net is that of noisy-9.
    Fixed("start-2", NOISY, "start/2", 6_700, 3),
    Fixed("start-4", NOISY, "start/4", 6_300, 3),
    Fixed("start-8", NOISY, "start/8", 6_250, 3),
    Fixed("start-16", NOISY, "start/16", 7_050, 3),
    Fixed("start-32", NOISY, "start/32", 9_450, 3),
    Fixed("start-64", NOISY, "start/64", 15_100, 3),
)


def command(fixed: Fixed, seeds: int, data_dir: str, runs_dir: str) -> list[str]:
    return [
        sys.executable, str(ROOT / "bench.py"), "run", "--task", fixed.task,
        "--search-space", str(SPACES / f"{fixed.space}.toml"), "--budget", str(fixed.budget),
        "--trials", "1", "--steps", str(fixed.steps), "--seeds", str(seeds), "--workers", "1",
        "--data-dir", data_dir, "--runs-dir", runs_dir, "--publish", "--yes",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", required=True, help="the four MNIST files")
    parser.add_argument("--runs-dir", default="paper-runs")
    parser.add_argument(
        "--only", action="append", choices=[x.name for x in QUEUE], help="of the queue"
    )
    options = parser.parse_args()
    os.nice(19)
    print(f"process group {os.getpgid(0)}", flush=True)
    chosen = [x for x in QUEUE if not options.only or x.name in options.only]
    # A seed of each net before the second seed of any: what is wrong shows early.
    for seeds in range(1, max(x.seeds for x in chosen) + 1):
        for fixed in [x for x in chosen if seeds <= x.seeds]:
            # A board is published at the end of each run.
            words = command(fixed, seeds, options.data_dir, options.runs_dir)
            began = time.monotonic()
            print(f"{fixed.name}, final {seeds} of {fixed.seeds}: {shlex.join(words)}", flush=True)
            code = subprocess.run(words, stdout=subprocess.DEVNULL, check=False).returncode
            if code:
                sys.exit(code)
            print(f"ended after {(time.monotonic() - began) / 60:.1f} min", flush=True)


if __name__ == "__main__":
    main()
