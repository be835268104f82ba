"""Searches that are not finished, as rows: shown on a board as `search only`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from drnn_bench import records
from drnn_bench.errors import UserError
from drnn_bench.finals import study_row
from drnn_bench.models import config_type
from drnn_bench.storage import open_storage
from drnn_bench.studies import StudySpec, summarise
from drnn_bench.tasks import task_type
from drnn_bench.tasks.cache import open_prepared


def live_rows(runs_dir: Path, recorded: set[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """A study row for each search in a runs folder that has none among the records; and a line on
    each that cannot be read here, because a plug-in's task or family is not given."""
    import optuna

    storage, rows, notes = open_storage(f"sqlite:///{runs_dir / 'studies.db'}"), [], []
    tasks = {}
    for path in (runs_dir / "data").glob("*/task.json"):
        with contextlib.suppress(UserError):
            prepared = open_prepared(path.parent)
            tasks[prepared.task.key, prepared.data_hash] = prepared.task
    for name in optuna.get_all_study_names(storage):
        if name.rpartition("/")[2] in recorded:
            continue
        study = optuna.load_study(study_name=name, storage=storage)
        if "spec" not in study.user_attrs:  # somebody else's study, or one being made
            continue
        spec = StudySpec(**study.user_attrs["spec"])
        try:
            task_type(spec.task.partition(":")[0])
            config_type(spec.family)
        except UserError as error:
            notes.append(f"the unfinished search {name} is not shown: {error}")
            continue
        task = tasks.get((spec.task, spec.data_hash))
        if task is None:
            continue
        summary = summarise(study, spec, task.direction)
        if summary["best"]:
            rows.append(study_row(spec, task, summary, "cpu") | {"started": records.now()})
    return rows, notes
