"""Searches that are not finished, as rows: shown on a board as `search only`."""

from __future__ import annotations

from typing import Any

from drnn_bench import records
from drnn_bench.finals import study_row
from drnn_bench.storage import open_storage
from drnn_bench.studies import StudySpec, summarise
from drnn_bench.tasks import parse_task


def live_rows(storage_url: str, recorded: set[str]) -> list[dict[str, Any]]:
    """A study row for each search in the storage that has none among the records."""
    import optuna

    storage, rows = open_storage(storage_url), []
    for name in optuna.get_all_study_names(storage):
        if name.rpartition("/")[2] in recorded:
            continue
        study = optuna.load_study(study_name=name, storage=storage)
        if "spec" not in study.user_attrs:  # somebody else's study, or one being made
            continue
        spec = StudySpec(**study.user_attrs["spec"])
        task = parse_task(spec.task)
        summary = summarise(study, spec, task.direction)
        if summary["best"]:
            rows.append(study_row(spec, task, summary, "cpu") | {"started": records.now()})
    return rows
