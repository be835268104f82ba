"""A search of pixel MNIST by `bench run`, and by a plain script of Optuna and torch.

    python benchmarks/plain.py --data-dir FOLDER [--trials 8] [--steps 100] [--turns 2] [--whole]

`alone` below is that script, as one writes it without a harness: one process on torch's default
threads, torch's own cells on the sequence reshaped into its chains, all steps computed, and
successive halving (none with --whole). `bench run` searches dilated RNNs first, with its defaults.
The script then trains the same draws: the same cells, dilations and learning rates, the width that
the budget allows, the recipe, the validation set and the evaluations of `bench run`. They take
turns; times are from the start of the first trial to the end of the last.

Legend: B sequences, T steps, C chains of a layer, I inputs, H units.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
import torch
from torch import nn

from drnn_bench.system.provenance import processor
from drnn_bench.tasks.registry import parse_task

BUDGET, BATCH, EVALUATIONS = 21_300, 128, 8
CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
RUN = [sys.executable, str(Path(__file__).parent.parent / "bench.py"), "run"]


class Net(nn.Module):
    """Dilated layers, and a linear output or a convolution over the last `taps` steps."""

    def __init__(self, cell: str, dilations: list[int], width: int, taps: int):
        super().__init__()
        sizes = [1] + [width] * (len(dilations) - 1)
        self.layers = nn.ModuleList(CELLS[cell](size, width, batch_first=True) for size in sizes)
        self.dilations, self.taps = dilations, taps
        self.head = nn.Linear(width * taps, 10)

    def forward(self, x_BTI: torch.Tensor) -> torch.Tensor:
        steps = x_BTI.shape[1]
        for layer, s in zip(self.layers, self.dilations, strict=True):
            x_BTI = nn.functional.pad(x_BTI, (0, 0, 0, -x_BTI.shape[1] % s))
            chains_BTCI = x_BTI.unflatten(1, (-1, s))
            y_BCTH = layer(chains_BTCI.transpose(1, 2).flatten(0, 1))[0].unflatten(0, (-1, s))
            x_BTI = y_BCTH.transpose(1, 2).flatten(1, 2)[:, :steps]
        return self.head(x_BTI[:, -self.taps :].flatten(1))


def widest(cell: str, dilations: list[int], taps: int) -> Net:
    """The widest net within the budget."""
    width = 1
    with torch.device("meta"):
        while parameters(Net(cell, dilations, width + 1, taps)) <= BUDGET:
            width += 1
    return Net(cell, dilations, width, taps)


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def alone(draws: list[dict[str, Any]], data_dir: str, steps: int, whole: bool) -> tuple[float, int]:
    """Seconds that the plain script takes for these draws, and how many of them it prunes."""
    arrays = parse_task("pixel_mnist").load(data_dir)
    (x, y), (vx, vy) = (
        (torch.tensor(a[0]).view(len(a[0]), -1, 1) / 255, torch.tensor(a[1]).view(-1).long())
        for a in (arrays["train"], arrays["validation"])
    )

    def objective(trial: optuna.Trial) -> float:
        cell = trial.suggest_categorical("cell", list(CELLS))
        base, start = trial.suggest_int("base", 2, 4), trial.suggest_int("start", 0, 3)
        dilations = [base ** (start + i) for i in range(trial.suggest_int("depth", 2, 12))]
        fusion = trial.suggest_categorical("fusion", [False, True])
        rate = trial.suggest_float("learning_rate", 3e-4, 1e-1, log=True)
        net = widest(cell, dilations, dilations[0] if fusion else 1)
        optimizer = torch.optim.Adam(net.parameters(), lr=rate)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.05)
        evaluated = {steps * i // EVALUATIONS for i in range(1, EVALUATIONS + 1)}
        best = 0.0
        for step in range(1, steps + 1):
            chosen = torch.randint(len(x), (BATCH,))
            loss = nn.functional.cross_entropy(net(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            if step in evaluated:
                with torch.no_grad():
                    parts = zip(vx.split(500), vy.split(500), strict=True)
                    right = sum((net(a).argmax(1) == b).sum().item() for a, b in parts)
                best = max(best, right / len(vx))
                trial.report(right / len(vx), step)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return best

    halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=steps // 8)
    pruner = optuna.pruners.NopPruner() if whole else halving
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for draw in draws:
        study.enqueue_trial(draw)
    began = time.perf_counter()
    study.optimize(objective, len(draws))
    seconds = time.perf_counter() - began
    return seconds, len(study.get_trials(states=(optuna.trial.TrialState.PRUNED,)))


def plain(draws: list[dict[str, Any]], data_dir: str, steps: int, whole: bool) -> tuple[float, int]:
    """`alone` in a fresh process."""
    command = [sys.executable, __file__, "--data-dir", data_dir, "--steps", str(steps)]
    command += ["--whole"] * whole
    done = subprocess.run(
        [*command, "--draws", json.dumps(draws)], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, pruned = json.loads(done.stdout)
    return seconds, pruned


def bench(folder: Path, data_dir: str, trials: int, steps: int) -> tuple[float, list[dict]]:
    """Seconds of the search of `bench run`, and what it drew."""
    folder.mkdir()
    command = [*RUN, "--task=pixel_mnist", "--data-dir", data_dir, "--family=dilated_rnn"]
    command += [f"--trials={trials}", f"--steps={steps}", "--seeds=1", "--yes"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    storage = f"sqlite:///{folder}/runs/studies.db"
    (name,) = optuna.get_all_study_names(storage)
    ended = optuna.load_study(study_name=name, storage=storage).trials
    begun = min(t.datetime_start.timestamp() for t in ended if t.datetime_start)
    over = max(t.datetime_complete.timestamp() for t in ended if t.datetime_complete)
    return over - begun, [{"fusion": False} | t.params for t in ended]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", required=True, help="MNIST's four files")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--whole", action="store_true", help="the script prunes nothing")
    parser.add_argument("--draws", help=argparse.SUPPRESS)
    options = parser.parse_args()
    data_dir, steps = str(Path(options.data_dir).resolve()), options.steps
    if options.draws:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        print(json.dumps(alone(json.loads(options.draws), data_dir, steps, options.whole)))
        return
    print(f"{processor()}, {torch.get_num_threads()} threads.")
    took: dict[str, list[float]] = {"bench run": [], "plain script": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(options.turns):
            seconds, draws = bench(Path(folder) / str(turn), data_dir, options.trials, steps)
            took["bench run"].append(seconds)
            seconds, pruned = plain(draws, data_dir, steps, options.whole)
            took["plain script"].append(seconds)
            now = ", ".join(f"{who} {runs[-1]:.1f} s" for who, runs in took.items())
            print(f"{now}; the script pruned {pruned} of {len(draws)}", flush=True)
    ours, theirs = map(math.fsum, took.values())
    print(f"`bench run` gives {theirs / ours:.1f} times as many trials an hour.")


if __name__ == "__main__":
    main()
