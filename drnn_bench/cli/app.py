"""The commands: parse, call, print. Heavy imports stay inside the commands that need them."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from drnn_bench.cli.boards import compare, leaderboard
from drnn_bench.cli.describe import describe
from drnn_bench.cli.doctor import doctor
from drnn_bench.cli.export import export
from drnn_bench.cli.ls import ls
from drnn_bench.cli.measure import measure
from drnn_bench.cli.options import (
    DataOption,
    DeviceOption,
    RunsOption,
    StorageOption,
    make_console,
    say,
    say_error,
)
from drnn_bench.cli.report import report
from drnn_bench.cli.status import status
from drnn_bench.errors import (
    Interrupted,
    JobError,
    UserError,
    out_of_memory,
)
from drnn_bench.system import streams

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Architecture search and benchmarks for long-sequence models under parameter budgets.",
)

# A path that cannot be; any other trouble with a file is the machine's.
_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.EISDIR,
          errno.EACCES, errno.EPERM, errno.EROFS)  # fmt: skip


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
    ray: Annotated[str | None, typer.Option(help="Train on a Ray cluster: auto or HOST:PORT.")] = None,
    gpus_per_trial: Annotated[float, typer.Option(help="Share of a GPU for each trial on a cluster.")] = 0.0,
    publish: Annotated[bool, typer.Option("--publish", help="Add the rows to leaderboards/ even where others' rows stand there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before long runs.")] = False,
) -> None:  # fmt: skip
    """Search, train finalists, measure throughput, write the leaderboard. Run again to continue."""
    from drnn_bench.jobs.job import Run
    from drnn_bench.jobs.plan import Request, make_plan, parse_budget
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

    def confirm(question: str) -> bool:
        return not asks or typer.confirm(question)

    try:
        with handled() as signals:
            reporter = Terminal(console, confirm)
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
    from drnn_bench.board import publish
    from drnn_bench.board.terminal import print_board
    from drnn_bench.results import records  # pandas and scipy: the search need not wait for them
    from drnn_bench.results.ranking import build, select

    rows, notes = records.read(Path(runs_dir) / "records.jsonl")
    for note in notes:
        say_error(note)
    board = build(rows)
    wanted = {spec.digest for spec in plan.specs}
    if board.empty or not board["study"].isin(wanted).any():
        raise JobError("no family has a complete trial: nothing to rank")
    same = board[board["task"] == plan.task.key]
    same = same[same["steps"].isin({s.steps for s in plan.specs})]
    same = same[same["budget"].isin({s.budget for s in plan.specs})]
    print_board(console, select(same))
    others = publish.of_others(rows, plan.task.key)
    if others and not publish:
        say(
            f"leaderboards/ is left as it is: {others} rows of {plan.task.key} there are not from "
            f"{runs_dir}. `bench leaderboard` shows this board; --publish adds its rows there."
        )
        return
    path = publish.publish(rows, plan.task.key)
    say(f"Written to {path} and {path.with_suffix('.csv')}")


app.command()(leaderboard)
app.command()(compare)
app.command()(describe)
app.command()(measure)
app.command()(report)
app.command()(export)
app.command()(status)
app.command()(doctor)
app.add_typer(ls, name="ls")


def main() -> None:
    """The console script: a user's mistake is one line and exit 2, ours is a traceback."""
    streams.guard()
    code = _command(sys.argv[1:] or ["--help"])
    unread = streams.lost()
    if unread:
        say_error(f"{unread}: what was printed is lost, what was written to files is not")
    sys.exit(code or (1 if unread else 0))


def _command(words: list[str]) -> int:
    """Runs one command; its exit code."""
    try:
        for word in words:  # no option, name or path of any command is empty
            if word == "" or (word.startswith("--") and word.endswith("=")):
                raise UserError(f"{word!r} is an empty value: leave it out for the default")
        code = app(args=words, standalone_mode=False)
        if code == 130:  # how typer hands on an interruption that nobody took
            say_error("stopped")
        return code or 0
    except Interrupted as stopped:
        say_error(str(stopped))
        return stopped.code
    except typer.TyperException as error:  # a word of the command line that typer refuses
        say_error(" ".join(error.format_message().split()) + " (--help shows what there is)")
        return error.exit_code
    except UserError as error:
        say_error(str(error))
        return 2
    except JobError as error:
        say_error(str(error))
        return 1
    except typer.Abort:
        say_error("not started")
        return 130
    except Exception as error:
        said = out_of_memory(error)
        if said is not None:
            say_error(said)
            return 1
        if not isinstance(error, OSError) or error.filename is None:
            raise
        say_error(f"{error.filename}: {error.strerror}")  # nobody nearer knew what it was for
        return 2 if error.errno in _PATHS else 1
