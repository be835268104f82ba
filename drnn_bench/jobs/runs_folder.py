"""A runs folder as it stands: its records, and its searches that are not finished, as rows too.

A search without a record is shown on a board as `search only`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench.errors import JobError, UserError
from drnn_bench.results import records

if TYPE_CHECKING:
    import optuna

    from drnn_bench.tasks.prepared import Prepared

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
    for each that has trials and not one complete, or that cannot be read. Nothing is written."""
    import optuna

    from drnn_bench.search.database import reading, sqlite_url
    from drnn_bench.search.storage import has_tables, open_storage
    from drnn_bench.tasks.prepared import all_prepared

    url = sqlite_url(runs_dir)
    with reading(f"storage {url}"):
        if not has_tables(url):
            return [], []
        storage = open_storage(url, create=False)
        names = optuna.get_all_study_names(storage)
        prepared, notes = all_prepared(runs_dir / "data")
        tasks, rows = {(p.task.key, p.data_hash): p for p in prepared}, []
        for name in names:
            if name.rpartition("/")[2] in recorded:
                continue
            try:
                with reading(f"the search {name}"):
                    row, note = _row(optuna.load_study(study_name=name, storage=storage), tasks)
            except JobError as error:  # it names the search
                row, note = None, str(error)
            except UserError as error:
                row, note = None, f"the unfinished search {name} is not shown: {error}"
            rows += [row] if row else []
            notes += [note] if note else []
    return rows, notes


def _row(
    study: optuna.Study, tasks: dict[tuple[str, str], Prepared]
) -> tuple[Row | None, str | None]:
    """The row of a search as it stands, or why there is none; neither where it is not ours."""
    from drnn_bench.models.registry import architecture_type
    from drnn_bench.search.study import spec_of
    from drnn_bench.search.summary import study_row, summarise
    from drnn_bench.tasks.registry import task_type

    if "spec" not in study.user_attrs:  # somebody else's study, or one being made
        return None, None
    spec = spec_of(study)
    task_type(spec.task.partition(":")[0])
    architecture_type(spec.family)
    data = tasks.get((spec.task, spec.data_hash))
    if data is None:
        return None, None
    summary = summarise(study, spec, data.task.direction)
    if summary["best"]:
        return study_row(spec, data, summary, "cpu") | {"started": records.now()}, None
    if not any(summary["trials"].values()):
        return None, None
    what = ", ".join(f"{n} {state}" for state, n in summary["trials"].items() if n)
    where = f"{spec.task}, {spec.family} at {spec.budget:,} parameters"
    return None, f"{where}: no complete trial ({what}), so it is on no board"
