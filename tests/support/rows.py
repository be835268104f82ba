"""Result rows: one filled in by hand, and one of each role as the harness writes it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from drnn_bench.execution.carry import finish
from drnn_bench.jobs.candidates import CandidateJob
from drnn_bench.jobs.finals import FinalJob, keep_final
from drnn_bench.results import records
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.study import StudySpec
from drnn_bench.search.summary import study_row
from drnn_bench.speed.throughput import measure
from drnn_bench.tasks.prepared import prepare
from drnn_bench.tasks.registry import parse_task

IDENTITY = {
    "study": "a1b2c3d4e5f6",
    "task": "pixel_digits",
    "task_version": 1,
    "data_hash": "0123456789abcdef",
    "family": "lstm",
    "config": {"depth": 1, "width": 8},
    "budget": 500,
    "width": 8,
    "parameters": 450,
    "seed": 3,
    "steps": 10,
    "learning_rate": 0.01,
    "recipe": Recipe().table,
    "state": "complete",
}


HASH = "440a98b1b37637e7"  # of the digits


# What a final has besides.
MEASURED = {
    "architecture": "depth=1 width=8", "metric": "accuracy", "direction": "max", "sampler": "tpe",
    "pruner": "asha", "search_seed": 0, "mrl": 33.0, "mrl_horizon": 63, "reach": None,
    "recurrent_edges_per_node": 1.0, "sequential_steps": 64, "validation": 0.5, "test": 0.5,
    "test_accuracy": 0.5, "test_size": 360, "best_step": 10, "train_seconds": 1.5,
    "started": "2026-01-31T12:00:00Z", "harness_version": "0.1.0", "git_commit": None,
    "git_dirty": None, "python": "3.11.7", "torch": "2.13.0", "optuna": "5.0.0",
    "processor": "Processor A, 4 cores", "device": "cpu", "threads": 1, "dtype": "float32",
}  # fmt: skip


def row(**measured: Any) -> dict[str, Any]:
    return records.make_row("final", IDENTITY, **MEASURED | measured)


@cache
def real_rows() -> dict[str, dict[str, Any]]:
    """A row of each role as the harness itself writes it: a net searched, trained and timed."""
    task = parse_task("pixel_digits")
    # The cheapest net there is: timing it takes some 200 runs.
    spec = StudySpec(
        task=task.key, task_version=task.version, data_hash=HASH, family="dilated_cnn", budget=100,
        steps=2, recipe=Recipe(batch_size=8).table, sampler="tpe", pruner="asha",
        space={"learning_rate": 1e-2}, seed=0,
    )  # fmt: skip
    config = {"base": 2, "depth": 2, "kernel": 2, "width": 4}
    best = {"index": 0, "value": 0.5, "config": config, "learning_rate": 1e-2, "on_edge": []}
    summary = {
        "trials": dict.fromkeys(
            ("complete", "pruned", "diverged", "failed", "infeasible", "duplicate"), 0
        ),
        "best": best,
        "startup_mean": 0.5,
        "startup_n": 1,
        "search_seconds": 1.0,
        "complete": [],
        "candidates": [best | {"again": [0.4, None, 0.6]}],
        "candidate_seconds": 1.5,
        "history": [],
        "importance": None,
        "ended": None,
    }
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(task, None, Path(folder))
        job, rows = FinalJob(spec=spec, best=best, seed=7, device="cpu"), []
        keep_final(finish(job, prepared), Path(folder), rows.append)
        (final,) = rows
        candidate = finish(CandidateJob(spec=spec, candidate=best, seed=8, device="cpu"), prepared)
        speed = measure([(spec, best)], prepared, "cpu")[0]
        study = study_row(spec, prepared, summary, "cpu") | {"started": records.now()}
    return {"study": study, "candidate": candidate, "final": final, "speed": speed}
