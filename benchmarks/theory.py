"""Do facts of a dilated net that are known before training predict what it learns?

    python benchmarks/theory.py RECORDS.jsonl [--seeds 3] [--figure FILE.svg]

reads the random search of dilated RNNs in a file of records (`--sampler random --pruner none`, one
task, every trial trained to its end) and prints, for each predictor, Spearman's rank correlation
with the validation loss. The hypotheses stand in docs/theory.md, written before the searches ran.

The predictors, all of the net as it is built:

- `path`: edges of the shortest path over the span that the task needs (Chang et al. 2017).
- `mrl`: mean recurrent length over all spans of the task; infinite where one cannot be crossed.
- `jacobian`: log10 of the norm of d(last output) / d(input one needed span before it), at
  initialisation, on sequences of the task, the mean over `--seeds` initialisations.

Correlations are taken within each cell type, then put together by Fisher's z, each weighted by its
inverse variance. A diverged trial counts as worse than all others. Nets that cannot cross the span
are left out: no search since protocol 2 has any.

Legend: B sequences, T steps, I inputs, O outputs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Architecture
from drnn_bench.models.mrl import mean_recurrent_length, path_length
from drnn_bench.models.registry import make_architecture
from drnn_bench.report.chart import Axis, Chart, Point, Series
from drnn_bench.report.figures import svg
from drnn_bench.results import records
from drnn_bench.results.codec import from_json
from drnn_bench.results.correlation import Correlation, is_sample, spearman
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import Task

SEQUENCES = 16
DRAWS = 2_000  # of the bootstrap
PREDICTED = {"path": 1, "mrl": 1, "jacobian": -1}  # the sign of its correlation with the loss


@dataclass(frozen=True)
class Trial:
    cell: str
    loss: float  # infinite where it diverged
    path: float
    mrl: float
    jacobian: float


def search_of(path: Path) -> dict[str, Any]:
    """The last row of the random search of dilated RNNs in a file of records."""
    found = [
        row
        for row in records.read(path)[0]
        if row["role"] == "study" and row["family"] == "dilated_rnn" and is_sample(row)
    ]
    if not found:
        raise UserError(f"{path} has no random search of dilated RNNs that pruned nothing")
    return found[-1]


def log_jacobian(net: Architecture, x_BTI: torch.Tensor, span: int, seed: int) -> float:
    """log10 of the Frobenius norm of d(output at T) / d(input at T - span), from the mean over
    sequences of |v J|^2 for random v with E[v v'] = 1, whose expectation is the norm's square."""
    torch.manual_seed(seed)
    built = net.build().double()
    x_BTI = x_BTI.detach().requires_grad_()
    last_BO = built(x_BTI, last=1)[:, -1]
    (gradient_BTI,) = torch.autograd.grad(last_BO, x_BTI, torch.randn_like(last_BO))
    square = gradient_BTI[:, -1 - span].square().sum(1).mean().item()
    return math.log10(square) / 2 if square > 0 else -math.inf


def floats(task: Task, x: np.ndarray) -> torch.Tensor:
    """[B, T, I] in float64; a symbol as its one-hot vector."""
    x_B = torch.from_numpy(np.array(x))
    if task.one_hot:
        x_B = torch.nn.functional.one_hot(x_B.long(), task.input_size)
    return x_B.double()


def trials_of(row: dict[str, Any], task: Task, x_BTI: torch.Tensor, seeds: int) -> list[Trial]:
    (span,) = task.needed_spans
    trials = []
    diverged = [
        x for x in row.get("history", []) if x.get("state") == "diverged" and x.get("config")
    ]
    for place in sorted([*row["complete"], *diverged], key=lambda place: place["index"]):
        sizes = {"input_size": task.input_size, "output_size": task.output_size}
        net = make_architecture("dilated_rnn", **sizes, **from_json(place["config"]))
        path = path_length(net, span)
        if math.isinf(path):
            continue
        jacobians = [log_jacobian(net, x_BTI, span, seed) for seed in range(seeds)]
        trials.append(
            Trial(
                cell=place["config"]["cell"],
                loss=math.inf if place["value"] is None else place["value"],
                path=path,
                mrl=mean_recurrent_length(net, task.length - 1),
                jacobian=float(np.mean(jacobians)),
            )
        )
    return trials


def cells(trials: Sequence[Trial]) -> list[list[Trial]]:
    names = sorted({trial.cell for trial in trials})
    return [[trial for trial in trials if trial.cell == name] for name in names]


def within(trials: Sequence[Trial], name: str) -> Correlation | None:
    return spearman([getattr(t, name) for t in trials], [t.loss for t in trials])


def pooled(trials: Sequence[Trial], name: str) -> tuple[float, float, float]:
    """The correlation within cells, put together by Fisher's z; with its 95 % interval."""
    z, weight = 0.0, 0.0
    for of_cell in cells(trials):
        found = within(of_cell, name)
        if found is not None and found.low is not None:
            inverse = (found.n - 3) / (1 + found.rho**2 / 2)
            z, weight = z + inverse * math.atanh(found.rho), weight + inverse
    if not weight:
        return math.nan, math.nan, math.nan
    half = float(ndtri(0.975)) / math.sqrt(weight)
    mean = z / weight
    return math.tanh(mean), math.tanh(mean - half), math.tanh(mean + half)


def advantage(trials: Sequence[Trial], seed: int = 0) -> tuple[float, float, float]:
    """By how much the Jacobian's |rho| is above the path's, with the bootstrap's 95 % interval,
    trials drawn within their cells."""

    def difference(drawn: Sequence[Trial]) -> float:
        rho = {name: pooled(drawn, name)[0] for name in ("jacobian", "path")}
        return PREDICTED["jacobian"] * rho["jacobian"] - PREDICTED["path"] * rho["path"]

    generator = np.random.default_rng(seed)
    draws = [
        difference([t[i] for t in cells(trials) for i in generator.integers(0, len(t), len(t))])
        for _ in range(DRAWS)
    ]
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return difference(trials), float(low), float(high)


def best_quarter_kept(trials: Sequence[Trial], name: str) -> tuple[int, int]:
    """Of each cell's best quarter, how many are in the half that a predictor would keep; of how
    many. By chance it is half of them. Of equal ones the earlier draw is kept."""
    kept, best = 0, 0
    for of_cell in cells(trials):
        by_fact = sorted(of_cell, key=lambda t: PREDICTED[name] * getattr(t, name))
        half = [id(trial) for trial in by_fact[: len(of_cell) // 2]]
        quarter = sorted(of_cell, key=lambda t: t.loss)[: len(of_cell) // 4]
        kept += sum(id(trial) in half for trial in quarter)
        best += len(quarter)
    return kept, best


def chart(row: dict[str, Any], trials: Sequence[Trial]) -> Chart:
    series = tuple(
        Series(
            of_cell[0].cell,
            tuple(Point(t.jacobian, t.loss) for t in of_cell if math.isfinite(t.jacobian + t.loss)),
            i,
            i,
        )
        for i, of_cell in enumerate(cells(trials))
    )
    title = "The Jacobian over the needed span, before training, against validation"
    x = Axis("log10 of its norm at initialisation")
    return Chart("jacobian", title, "", x, Axis(f"validation {row['metric']}"), series)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("records", type=Path)
    parser.add_argument("--seeds", type=int, default=3, help="initialisations of each net")
    parser.add_argument("--figure", type=Path, help="an SVG file for the Jacobian's chart")
    options = parser.parse_args()
    row = search_of(options.records)
    task = parse_task(row["task"])
    with tempfile.TemporaryDirectory() as folder:
        arrays = prepare(task, None, Path(folder)).arrays()
        x_BTI = floats(task, arrays["validation"][0][:SEQUENCES])
    trials = trials_of(row, task, x_BTI, options.seeds)
    print(
        f"{row['task']}, {row['budget']:,} parameters, {row['steps']:,} steps: {len(trials)} nets"
    )
    print("| predictor | " + " | ".join(t[0].cell for t in cells(trials)) + " | together | kept |")
    print("|---|" + "---:|" * (len(cells(trials)) + 2))
    for name in PREDICTED:
        of_cells = [within(t, name) for t in cells(trials)]
        shown = ["none" if x is None else f"{x.rho:+.2f} (n = {x.n})" for x in of_cells]
        rho, low, high = pooled(trials, name)
        kept, best = best_quarter_kept(trials, name)
        words = [name, *shown, f"{rho:+.2f} ({low:+.2f} to {high:+.2f})", f"{kept} of {best}"]
        print("| " + " | ".join(words) + " |")
    more, low, high = advantage(trials)
    print(f"\nThe Jacobian's correlation is stronger than the path's by {more:+.2f} ", end="")
    print(f"({low:+.2f} to {high:+.2f}).")
    infinite = sum(math.isinf(trial.mrl) for trial in trials)
    print(f"Of infinite MRL: {infinite}; diverged: {sum(math.isinf(t.loss) for t in trials)}.")
    if options.figure:
        options.figure.write_text(svg(chart(row, trials), f"{row['task']}, dilated RNNs"))


if __name__ == "__main__":
    main()
