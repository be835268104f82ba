"""`bench run`: the whole job."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from drnn_bench.cli.options import (
    DataOption,
    DeviceOption,
    RunsOption,
    StorageOption,
    make_console,
    parse_budget,
    say,
    say_error,
)
from drnn_bench.errors import Interrupted


def run(
    task: Annotated[str, typer.Option(help="A task, with options: copy_memory:T=1000.")] = "pixel_digits",
    family: Annotated[list[str] | None, typer.Option(help="Families to search, or a group of them: recurrent, convolution, linear, attention; `all` for all.")] = None,
    budget: Annotated[list[str] | None, typer.Option(help="Parameters: 5000, 5k, 1.2M.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials for each family at each budget.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of a trial.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Fresh seeds for each finalist; default: 7, on pixel_digits 3.")] = None,
    searches: Annotated[int, typer.Option(help="Independent searches for each family: seeds SEED, SEED + 1, ...")] = 1,
    workers: Annotated[int | None, typer.Option(help="Processes of one thread; default: the cores.")] = None,
    device: DeviceOption = "auto",
    data_dir: DataOption = None,
    runs_dir: RunsOption = "runs",
    storage: StorageOption = None,
    search_space: Annotated[list[str] | None, typer.Option(help="TOML file, one for a family.")] = None,
    sampler: Annotated[str, typer.Option(help="tpe, random or qmc.")] = "tpe",
    pruner: Annotated[str, typer.Option(help="asha, median or none.")] = "asha",
    warm_start: Annotated[int, typer.Option(help="Begin each study with so many nets of smallest mean recurrent length.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    ray: Annotated[str | None, typer.Option(help="Train on a Ray cluster: auto or HOST:PORT.")] = None,
    gpus_per_trial: Annotated[float, typer.Option(help="Share of a GPU for each trial on a cluster.")] = 0.0,
    publish: Annotated[bool, typer.Option("--publish", help="Add the rows to leaderboards/ even where others' rows stand there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before long runs.")] = False,
) -> None:  # fmt: skip
    """Search, train finalists, measure throughput, write the leaderboard. Run again to continue."""
    print("loading", flush=True)  # torch and Optuna take seconds
    from drnn_bench.jobs.job import Run
    from drnn_bench.jobs.plan import Request, make_plan
    from drnn_bench.jobs.terminal import Terminal
    from drnn_bench.system.signals import Stopped, handled
    from drnn_bench.system.writable import check_boards

    console = make_console()
    request = Request(
        task=task,
        families=tuple(family or ()),
        budgets=tuple(parse_budget(b) for b in budget or ()),
        trials=trials,
        steps=steps,
        seeds=seeds,
        searches=searches,
        workers=workers,
        device=device,
        data_dir=data_dir,
        runs_dir=runs_dir,
        storage=storage,
        search_spaces=tuple(search_space or ()),
        sampler=sampler,
        pruner=pruner,
        warm_start=warm_start,
        seed=seed,
        ray=ray,
        gpus_per_trial=gpus_per_trial,
    )

    asks = not (dry_run or yes) and sys.stdin.isatty() and console.is_terminal
    reporter = Terminal(console, lambda question: not asks or typer.confirm(question))
    try:
        with handled() as signals:
            plan = make_plan(request, reporter.say)
            check_boards(plan.task.key)
            job = Run(plan, reporter, signals)
            job.preview() if dry_run else job.run()
    except Stopped as stopped:
        raise Interrupted(
            f"{stopped.word}: what is finished is saved in {runs_dir}; the same command continues",
            stopped.exit_code,
        ) from None
    if dry_run:
        return
    # pandas and scipy: the search need not wait for them.
    from drnn_bench.board.terminal import print_board
    from drnn_bench.board.verdict import by_board
    from drnn_bench.jobs.finish import board_of, publish_run

    board = board_of(plan, job.records, say_error)
    print_board(console, board, by_board(board, runs_dir))
    say(publish_run(plan, job.records, publish))
    job.raise_failures()
