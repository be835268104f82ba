"""A runs folder as it stands: its records, and its searches that are not finished, as rows too.

A search without a record is shown on a board as `search only`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drnn_bench import records
from drnn_bench.errors import JobError, UserError

Row = dict[str, Any]


def read(runs_dir: Path) -> tuple[list[Row], list[str]]:
    """All rows, and a line on whatever could not be read or has nothing to show."""
    rows, notes = records.read_folder(runs_dir)
    if (runs_dir / "studies.db").exists():
        recorded = {row["study"] for row in rows if row["role"] == "study"}
        try:
            live, unfinished = _unfinished(runs_dir, recorded)
        except JobError as error:  # what is recorded is shown all the same
            return rows, [*notes, str(error)]
        rows, notes = rows + live, notes + unfinished
    return rows, notes


def _unfinished(runs_dir: Path, recorded: set[str]) -> tuple[list[Row], list[str]]:
    """A study row for each search in a runs folder that has none among the records, and a line
    for each that has trials and not one complete."""
    import optuna

    from drnn_bench.finals import study_row
    from drnn_bench.models import config_type
    from drnn_bench.storage import open_storage
    from drnn_bench.studies import StudySpec, summarise
    from drnn_bench.tasks import task_type
    from drnn_bench.tasks.cache import all_prepared

    storage, rows = open_storage(f"sqlite:///{runs_dir / 'studies.db'}"), []
    prepared, damaged = all_prepared(runs_dir / "data")
    tasks, notes = {(p.task.key, p.data_hash): p.task for p in prepared}, [*damaged]
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
        elif any(summary["trials"].values()):
            what = ", ".join(f"{n} {state}" for state, n in summary["trials"].items() if n)
            where = f"{spec.task}, {spec.family} at {spec.budget:,} parameters"
            notes.append(f"{where}: no complete trial ({what}), so it is on no board")
    return rows, notes
