"""`bench run`: the whole job."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from drnn_bench.cli.config import save_config, typed_options, use_config
from drnn_bench.cli.options import (
    make_console,
    parse_budget,
    say,
    say_error,
)
from drnn_bench.errors import Interrupted, UserError
from drnn_bench.models.names import DEFAULT_FAMILIES
from drnn_bench.tasks.names import DEFAULT_TASK

# The groups of the options in the help.
SEARCHED, EFFORT = "What is searched", "With how much effort"
METHOD, MACHINE, FILES = "How it searches", "On which machine", "Files"


def run(
    context: typer.Context,
    task: Annotated[str, typer.Option(help="A task, with options: copy_memory:T=1000. `bench ls tasks` lists them.", rich_help_panel=SEARCHED)] = DEFAULT_TASK,
    family: Annotated[list[str] | None, typer.Option(help="Families, or a group of them: recurrent, convolution, linear, attention; `all` for all.", rich_help_panel=SEARCHED, show_default=", ".join(DEFAULT_FAMILIES))] = None,
    budget: Annotated[list[str] | None, typer.Option(help="Parameters: 5000, 5k, 1.2M.", rich_help_panel=SEARCHED, show_default="the task's")] = None,
    search_space: Annotated[list[str] | None, typer.Option(help="TOML file, one for a family.", rich_help_panel=SEARCHED, show_default="the shipped ones")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials for each family at each budget.", rich_help_panel=EFFORT, show_default="the task's")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of a trial.", rich_help_panel=EFFORT, show_default="the task's")] = None,
    seeds: Annotated[int | None, typer.Option(help="Fresh seeds for each finalist.", rich_help_panel=EFFORT, show_default="7, on pixel_digits 3")] = None,
    searches: Annotated[int, typer.Option(help="Independent searches for each family: seeds SEED, SEED + 1, ...", rich_help_panel=EFFORT)] = 1,
    sampler: Annotated[str, typer.Option(help="tpe, random or qmc.", rich_help_panel=METHOD)] = "tpe",
    pruner: Annotated[str, typer.Option(help="asha, median or none.", rich_help_panel=METHOD)] = "asha",
    warm_start: Annotated[int, typer.Option(help="Begin each study with so many nets of smallest mean recurrent length.", rich_help_panel=METHOD)] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the search.", rich_help_panel=METHOD)] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes of one thread.", rich_help_panel=MACHINE, show_default="the cores")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=MACHINE)] = "auto",
    ray: Annotated[str | None, typer.Option(help="Train on a Ray cluster: auto or HOST:PORT.", rich_help_panel=MACHINE)] = None,
    gpus_per_trial: Annotated[float, typer.Option(help="Share of a GPU for each trial on a cluster.", rich_help_panel=MACHINE)] = 0.0,
    data_dir: Annotated[str | None, typer.Option(help="Where the data is.", rich_help_panel=FILES, show_default="the hub")] = None,
    runs_dir: Annotated[str, typer.Option(help="Folder of this machine's results.", rich_help_panel=FILES)] = "runs",
    storage: Annotated[str | None, typer.Option(help="Optuna storage URL.", rich_help_panel=FILES, show_default="SQLite in the runs folder")] = None,
    config: Annotated[str | None, typer.Option(help="TOML file of options, a line each: trials = 100. What is typed counts before it.", rich_help_panel=FILES, callback=use_config, is_eager=True)] = None,
    save_config_to: Annotated[str | None, typer.Option("--save-config", help="Write the options that are given to such a file.", rich_help_panel=FILES)] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Add the rows to leaderboards/ even where others' rows stand there.", rich_help_panel=FILES)] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before long runs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the board as JSON, and all else on standard error.")] = False,
) -> None:  # fmt: skip
    """Search, train finalists, measure throughput, write the leaderboard. Run again to continue."""
    if save_config_to is not None:
        save_config(save_config_to, typed_options(context))
    if dry_run and as_json:
        raise UserError("--dry-run shows a plan, which is no data: leave out --json")
    tell = say_error if as_json else say
    # Torch and Optuna take seconds.
    print("loading", file=sys.stderr if as_json else sys.stdout, flush=True)
    from drnn_bench.jobs.job import Run
    from drnn_bench.jobs.plan import Request, make_plan
    from drnn_bench.jobs.terminal import Terminal
    from drnn_bench.system.signals import Stopped, handled
    from drnn_bench.system.writable import check_boards

    console = make_console(aside=as_json)
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
    reporter = Terminal(console, lambda question: not asks or typer.confirm(question, err=as_json))
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
    from drnn_bench.board.renderings import to_json
    from drnn_bench.board.terminal import print_board
    from drnn_bench.board.verdict import by_board
    from drnn_bench.jobs.finish import board_of, publish_run

    board = board_of(plan, job.records, say_error)
    if as_json:
        print(to_json(board))
    else:
        print_board(console, board, by_board(board, runs_dir))
    tell(publish_run(plan, job.records, publish))
    job.raise_failures()
