"""The commands: parse, call, print. Heavy imports stay inside the commands that need them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from drnn_bench.cli_doctor import doctor
from drnn_bench.cli_export import export
from drnn_bench.cli_ls import ls
from drnn_bench.cli_measure import measure
from drnn_bench.cli_options import (
    BudgetOption,
    DataOption,
    DeviceOption,
    Format,
    FormatOption,
    JsonOption,
    RunsOption,
    StorageOption,
    TaskOption,
    make_console,
)
from drnn_bench.cli_report import report
from drnn_bench.cli_workers import status, worker
from drnn_bench.errors import Interrupted, JobError, UserError, nearest

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Architecture search and benchmarks for long-sequence models under parameter budgets.",
)


@app.callback()
def everywhere(
    plugin: Annotated[list[str] | None, typer.Option(help="A Python file with tasks or families of yours.")] = None,
) -> None:  # fmt: skip
    """Options that come before the command."""
    from drnn_bench import plugins

    for path in plugin or ():
        plugins.plugin(path)


@app.command()
def run(
    task: Annotated[str, typer.Option(help="A task, with options: copy_memory:T=1000.")] = "pixel_digits",
    family: Annotated[list[str] | None, typer.Option(help="Families to search; `all` for all.")] = None,
    budget: Annotated[list[str] | None, typer.Option(help="Parameters: 5000, 5k, 1.2M.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials for each family at each budget.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of a trial.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Fresh seeds for each finalist; default: the task's, 5 or 3.")] = None,
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before long runs.")] = False,
) -> None:  # fmt: skip
    """Search, train finalists, measure throughput, write the leaderboard. Run again to continue."""
    from drnn_bench.job import Job
    from drnn_bench.plan import Request, make_plan, parse_budget
    from drnn_bench.terminal import Terminal

    console = make_console()
    request = Request(
        task=task,
        families=tuple(family or ()),
        budgets=tuple(parse_budget(b) for b in budget or ()),
        trials=trials,
        steps=steps,
        seeds=seeds,
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
    )

    asks = not (dry_run or yes) and sys.stdin.isatty() and console.is_terminal

    def confirm(question: str) -> bool:
        return not asks or typer.confirm(question)

    try:
        plan = make_plan(request)
        job = Job(plan, Terminal(console, confirm))
        job.preview() if dry_run else job.run()
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped: finished trials are saved in {runs_dir}, the running ones are queued "
            "again; the same command continues"
        ) from None
    if dry_run:
        return
    from drnn_bench import boards, records  # pandas and scipy: the search need not wait for them
    from drnn_bench.console import print_board
    from drnn_bench.ranking import build, select

    rows, notes = records.read(Path(runs_dir) / "records.jsonl")
    for note in notes:
        _err(note)
    board = build(rows)
    wanted = {spec.identity for spec in plan.specs}
    if board.empty or not board["study"].isin(wanted).any():
        raise JobError("no family has a complete trial: nothing to rank")
    path = boards.publish(rows, plan.task.key)
    same = board[board["task"] == plan.task.key]
    same = same[same["steps"].isin({s.steps for s in plan.specs})]
    same = same[same["budget"].isin({s.budget for s in plan.specs})]
    print_board(console, select(same))
    console.print(f"Written to {path} and {path.with_suffix('.csv')}", highlight=False)


@app.command()
def leaderboard(
    task: TaskOption = None,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    budget: BudgetOption = None,
    sort: Annotated[str | None, typer.Option(help="Sort by this column of the CSV.")] = None,
    runs_dir: RunsOption = "runs",
    format: FormatOption = Format.table,
    output: Annotated[str | None, typer.Option(help="Write to this file.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Rebuild the published boards and compare.")] = False,
) -> None:  # fmt: skip
    """The ranked table of what has been run."""
    from drnn_bench import boards, columns

    if check:
        wrong = boards.check()
        for line in wrong:
            _err(line)
        if wrong:
            raise typer.Exit(1)
        print("every published board is what its records give")
        return
    board = _board(runs_dir, task, family, budget)
    if sort is not None:
        board = _sorted(board, sort)
    texts = {Format.markdown: columns.to_markdown, Format.csv: columns.to_csv}
    if format == Format.table and output is None:
        from drnn_bench.console import print_board

        print_board(make_console(), board)
        return
    text = texts.get(format, columns.to_json if format == Format.json else columns.to_markdown)(
        board
    )
    _emit(text, output)


@app.command()
def compare(
    task: TaskOption = None,
    runs_dir: RunsOption = "runs",
    base: Annotated[str, typer.Option(help="The family that speed is compared with.")] = "lstm",
    format: FormatOption = Format.table,
) -> None:
    """Families against budgets: the metric, and what it cost in parameters, speed and MRL."""
    from drnn_bench import comparison
    from drnn_bench.models import FAMILIES

    if base not in FAMILIES:
        raise UserError(f"unknown family {base!r}: {nearest(base, list(FAMILIES))}")
    board = _board(runs_dir, task, None, None, base)
    if format == Format.json:
        print(json.dumps(comparison.to_records(board, base), indent=2))
        return
    if format == Format.table:
        comparison.print_tables(make_console(), board, base)
        return
    print(comparison.to_text(board, base, csv=format == Format.csv), end="")


@app.command()
def describe(
    family: Annotated[str, typer.Argument(help="A family: see `bench ls families`.")],
    options: Annotated[list[str] | None, typer.Argument(help="key=value, such as cell=gru.")] = None,
    task: TaskOption = None,
    budget: BudgetOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """A network without training it: parameters, dilations, mean recurrent length, reach."""
    from drnn_bench.api import describe as describe_network
    from drnn_bench.options import parse_options
    from drnn_bench.plan import parse_budget

    config: dict[str, Any] = parse_options(family, options or [])
    if task is not None:
        from drnn_bench.tasks import sized_task

        named = sized_task(task)
        config |= {"length": named.length}
        config |= {"input_size": named.input_size, "output_size": named.output_size}
    if budget is not None:
        config["budget"] = parse_budget(budget)
    missing = [key for key in ("input_size", "output_size") if key not in config]
    if missing:
        raise UserError(f"give --task, or {' and '.join(f'{key}=N' for key in missing)}")
    facts = describe_network(family, **config)
    facts = {k: "inf" if v == float("inf") else v for k, v in facts.items()}
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        if isinstance(value, dict):
            value = " ".join(f"{k}={v}" for k, v in value.items())
        print(f"{key:<{width}}  {'–' if value is None else value}")


def _board(
    runs_dir: str, task: str | None, family: str | None, budget: str | None, base: str = "lstm"
):
    from drnn_bench import live
    from drnn_bench.plan import parse_budget
    from drnn_bench.ranking import build, select

    rows, notes = live.read(Path(runs_dir))
    for note in notes:
        _err(note)
    return select(
        build(rows, base),
        task=task,
        family=family,
        budget=None if budget is None else parse_budget(budget),
        where=runs_dir,
    )


def _sorted(board, column: str):
    """Within each group: best first where a column has a direction, largest first elsewhere."""
    from drnn_bench.ranking import GROUP

    if column not in board:
        raise UserError(f"no column {column!r} to sort by: {nearest(column, list(board))}")
    down = not (column.startswith(("test", "validation")) and (board["direction"] == "min").all())
    try:
        return board.sort_values(
            [*GROUP, column], ascending=[True] * len(GROUP) + [not down], na_position="last"
        ).reset_index(drop=True)
    except TypeError:
        raise UserError(f"column {column!r} cannot be sorted") from None


def _emit(text: str, output: str | None) -> None:
    if output is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"output {output}: cannot be written ({error.strerror})") from None


def _err(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr)


app.command()(measure)
app.command()(report)
app.command()(export)
app.command()(worker)
app.command()(status)
app.command()(doctor)
app.add_typer(ls, name="ls")


def main() -> None:
    """The console script: a user's mistake is one line and exit 2, ours is a traceback."""
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
        if code == 130:  # how typer hands on an interruption that nobody took
            _err("stopped")
    except Interrupted as stopped:
        _err(str(stopped))
        code = 130
    except typer.TyperException as error:  # a word of the command line that typer refuses
        _err(" ".join(error.format_message().split()) + " (--help shows what there is)")
        code = error.exit_code
    except UserError as error:
        _err(str(error))
        code = 2
    except JobError as error:
        _err(str(error))
        code = 1
    except typer.Abort:
        _err("not started")
        code = 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
