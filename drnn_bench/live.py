"""Searches that are not finished, as rows: shown on a board as `search only`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drnn_bench import records
from drnn_bench.finals import study_row
from drnn_bench.storage import open_storage
from drnn_bench.studies import StudySpec, summarise
from drnn_bench.tasks.cache import open_prepared


def live_rows(runs_dir: Path, recorded: set[str]) -> list[dict[str, Any]]:
    """A study row for each search in a runs folder that has none among the records."""
    import optuna

    storage, rows = open_storage(f"sqlite:///{runs_dir / 'studies.db'}"), []
    prepared = [open_prepared(path.parent) for path in (runs_dir / "data").glob("*/task.json")]
    tasks = {(p.task.key, p.data_hash): p.task for p in prepared}
    for name in optuna.get_all_study_names(storage):
        if name.rpartition("/")[2] in recorded:
            continue
        study = optuna.load_study(study_name=name, storage=storage)
        if "spec" not in study.user_attrs:  # somebody else's study, or one being made
            continue
        spec = StudySpec(**study.user_attrs["spec"])
        task = tasks.get((spec.task, spec.data_hash))
        if task is None:
            continue
        summary = summarise(study, spec, task.direction)
        if summary["best"]:
            rows.append(study_row(spec, task, summary, "cpu") | {"started": records.now()})
    return rows
