"""The whole job from Python, and a final of it again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drnn_bench.jobs.finish import board_of, publish_run
from drnn_bench.jobs.job import Run
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.jobs.reporter import Reporter, Silent
from drnn_bench.system.writable import check_boards
from drnn_bench.tasks.names import DEFAULT_TASK

if TYPE_CHECKING:
    import pandas as pd

    from drnn_bench.results.comparison import Comparison


def run(
    *,
    task: str = DEFAULT_TASK,
    families: Sequence[str] = (),
    budgets: Sequence[int] = (),
    trials: int | None = None,
    steps: int | None = None,
    seeds: int | None = None,
    searches: int = 1,
    workers: int | None = None,
    device: str = "auto",
    data_dir: str | Path | None = None,
    runs_dir: str | Path = "runs",
    storage: str | None = None,
    search_spaces: Sequence[str | Path] = (),
    sampler: str = "tpe",
    pruner: str = "asha",
    warm_start: int = 0,
    seed: int = 0,
    ray: str | None = None,
    gpus_per_trial: float = 0.0,
    publish: bool = False,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Searches, trains finalists, measures speed, and gives the board: what `bench run` does.

        >>> board = drnn_bench.run(task="pixel_digits", families=["lstm"], trials=2, steps=20)
        >>> board["family"].tolist()
        ['lstm']

    Called again, it continues; with more `trials`, it adds to those that are done.

    task: a task with options, `copy_memory:T=500`. families: their names, groups of them
    (`recurrent`, `convolution`, `linear`, `attention`), or `["all"]`. budgets:
    parameters, at most. trials: for each family at each budget. steps: training steps of a trial
    and of a final. seeds: finals of each finalist. searches: independent searches of each family,
    with the search seeds `seed`, `seed` + 1, ... workers: trainers on this machine, of one thread
    each. device: auto, cpu or cuda. data_dir: where the task's data is, if not on the hub.
    search_spaces: TOML files, one a family. warm_start: how many nets of the smallest mean
    recurrent length each search starts with. ray: a cluster whose nodes train, auto or HOST:PORT;
    gpus_per_trial: a trial's share of a GPU there. None stands for the task's or the machine's
    default, an empty sequence too.

    The rows are kept in `runs_dir`, and are added to the published board of the task in the folder
    `leaderboards`. Where rows of others stand there, that board is left as it is unless `publish`.

    progress: whether to show the plan and how far the run is: in a notebook one output below the
    cell, which is renewed in place, elsewhere what `bench run` shows. None: in a notebook only.

    The table holds the groups of this task, these steps and these budgets, in the columns of
    `drnn_bench.leaderboard`; `drnn_bench.styled` shows it in a notebook. Raises ValueError for
    wrong input and RuntimeError where the job failed, or a final of it: all else is done then, and
    `drnn_bench.leaderboard` gives the table.
    Warns of rows that cannot be read.
    """
    from drnn_bench.board.frame import to_frame

    request = Request(
        task=task,
        families=tuple(families),
        budgets=tuple(budgets),
        trials=trials,
        steps=steps,
        seeds=seeds,
        searches=searches,
        workers=workers,
        device=device,
        data_dir=None if data_dir is None else str(data_dir),
        runs_dir=str(runs_dir),
        storage=storage,
        search_spaces=tuple(map(str, search_spaces)),
        sampler=sampler,
        pruner=pruner,
        warm_start=warm_start,
        seed=seed,
        ray=ray,
        gpus_per_trial=gpus_per_trial,
    )
    plan = make_plan(request)
    check_boards(plan.task.key)
    job = Run(plan, _reporter(progress))
    job.run()
    groups = board_of(plan, job.records, lambda line: warnings.warn(line, stacklevel=4))
    publish_run(plan, job.records, publish)
    job.raise_failures()
    return to_frame(groups)


def _reporter(progress: bool | None) -> Reporter:
    from rich.console import Console

    from drnn_bench.jobs.notebook import Cell, in_notebook
    from drnn_bench.jobs.terminal import Terminal

    notebook = in_notebook()
    if not (notebook if progress is None else progress):
        return Silent()
    if notebook:
        return Cell()
    return Terminal(Console(markup=False, emoji=False), lambda question: True)


def replay(
    row_id: str,
    *,
    runs_dir: str | Path = "runs",
    data_dir: str | Path | None = None,
    task: str | None = None,
) -> Comparison:
    """Trains a recorded final again and compares: what `bench replay` does. Writes no record.

        >>> import json
        >>> rows = [json.loads(line) for line in open("runs/records.jsonl")]
        >>> final = next(row for row in rows if row["role"] == "final")
        >>> outcome = drnn_bench.replay(final["id"])
        >>> outcome.same, outcome.by
        (True, 'bits')

    row_id: the id of a final in `runs_dir` or among the published records in `leaderboards`, or how
    it alone begins. data_dir: where the task's data is, if neither in `runs_dir` nor on the hub.
    task: the final's task with the path of its data, which no record has, `own:path=FILE`.

    Of the result, `same` is the answer. `by` says how it was found: by `bits` (SHA-256 of the
    weights, curve, validation and test values), or where these differ and versions or processor do
    too, by `interval`: whether the test value lies inside Student's 95 % prediction interval of one
    more seed of that finalist, or within the task's margin of the recorded value. `differences`
    names what differs between then and now, `lines` says all of it in words.

    Raises ValueError where there is no such final, or its data, code or plug-in is not here, and
    RuntimeError where training failed.
    """
    from drnn_bench.jobs.replay import find_final, read_rows, replay_final

    folder = Path(runs_dir)
    rows, notes = read_rows(folder)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    final = find_final(row_id, rows, folder)
    folder_of_data = None if data_dir is None else str(data_dir)
    return replay_final(final, rows, folder, folder_of_data, task=task)
