"""A runs folder with studies of own sequences and their finals, but not their speed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from drnn_bench.execution.carry import finish
from drnn_bench.jobs.finals import FinalJob, final_seed, keep_final
from drnn_bench.results import records
from drnn_bench.search.study import open_study
from drnn_bench.search.summary import study_row, summarise
from tests.support.world import World


def save_walks(folder: Path) -> Path:
    """120 sequences of 12 steps and two channels, which go up or down."""
    rng = np.random.RandomState(0)
    y = np.array(["down", "up"])[rng.randint(0, 2, 120)]
    slope = np.where(y == "up", 1, -1)[:, None, None] * np.linspace(0, 3, 12)[:, None]
    x = 5 + [2, 30] * (slope + rng.randn(120, 12, 2))
    np.savez(folder / "walks.npz", x=x, y=y)
    return folder / "walks.npz"


def runs_with_finals(folder: Path, task: str, families: tuple[str, ...], seeds: int) -> Path:
    """`folder/runs`, after one trial for each family and so many finals."""
    world = World(folder, task=task, families=families, budgets=(300,), trials=1, steps=12)
    world.search()
    plan, rows = world.plan, []
    for spec in plan.specs:
        study = open_study(world.storage, spec, plan.task)
        summary = summarise(study, spec, plan.task.direction) | {"importance": None}
        rows.append(study_row(spec, plan.prepared, summary, "cpu") | {"started": records.now()})
        for number in range(seeds):
            seed = final_seed(spec, number)
            job = FinalJob(spec=spec, best=summary["best"], seed=seed, device="cpu")
            keep_final(finish(job, plan.prepared), folder / "runs", rows.append)
    records.append(folder / "runs" / "records.jsonl", rows)
    return folder / "runs"
