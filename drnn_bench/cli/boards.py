"""`bench leaderboard` and `bench compare`: what has been run, or published, as tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drnn_bench.cli.options import (
    BudgetOption,
    Format,
    FormatOption,
    JsonOption,
    RunsOption,
    TaskOption,
    make_console,
    parse_budget,
    say_error,
)
from drnn_bench.errors import UserError, nearest

if TYPE_CHECKING:
    from drnn_bench.results.board_line import BoardGroup


def leaderboard(
    task: TaskOption = None,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    budget: BudgetOption = None,
    sort: Annotated[str | None, typer.Option(help="Sort by this column of the CSV.")] = None,
    runs_dir: RunsOption = "runs",
    format: FormatOption = Format.table,
    output: Annotated[str | None, typer.Option(help="Write to this file.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say below the table how its figures came about.")] = False,
    verdict: Annotated[bool, typer.Option("--verdict", help="Only what to take, in sentences; with --json as data.")] = False,
    as_json: JsonOption = False,
    check: Annotated[bool, typer.Option("--check", help="Rebuild the published boards and compare.")] = False,
) -> None:  # fmt: skip
    """The ranked table of what has been run."""
    from drnn_bench.board import publish, renderings
    from drnn_bench.board.verdict import by_board

    if check:
        differences = publish.check()
        for line in differences:
            say_error(line)
        if differences:
            raise typer.Exit(1)
        print("every published board is what its records give")
        return
    format = Format.json if as_json else format
    if verdict:
        for option, value in (("--family", family), ("--sort", sort)):
            if value is not None:
                raise UserError(f"--verdict is over whole boards: leave out {option}")
        _verdicts(_groups(runs_dir, task, None, budget), runs_dir, format, output)
        return
    whole = _groups(runs_dir, task, None, budget)
    groups = whole if family is None else _groups(runs_dir, task, family, budget)
    answers = by_board(whole, runs_dir)
    if sort is not None:
        groups = [_sorted(group, sort) for group in groups]
    if format == Format.table and output is None:
        from drnn_bench.board.terminal import print_board

        print_board(make_console(), groups, answers, explain)
        return
    render = {Format.csv: renderings.to_csv, Format.json: renderings.to_json}
    if format in render:
        _write(render[format](groups), output)
    else:
        _write(renderings.to_markdown(groups, answers), output)


def compare(
    task: TaskOption = None,
    runs_dir: RunsOption = "runs",
    base: Annotated[str, typer.Option(help="The family that speed is compared with.")] = "lstm",
    format: FormatOption = Format.table,
    as_json: JsonOption = False,
) -> None:
    """Families against budgets: the metric, and what it cost in parameters, speed and MRL."""
    from drnn_bench.board import budgets
    from drnn_bench.models.names import FAMILIES

    if base not in FAMILIES:
        raise UserError(f"unknown family {base!r}: {nearest(base, list(FAMILIES))}")
    groups = _groups(runs_dir, task, None, None, base)
    format = Format.json if as_json else format
    if format == Format.json:
        print(json.dumps(budgets.to_records(groups, base), indent=2))
        return
    if format == Format.table:
        budgets.print_tables(make_console(), groups, base)
        return
    print(budgets.to_text(groups, base, csv=format == Format.csv), end="")


def _verdicts(groups: list[BoardGroup], runs_dir: str, format: Format, output: str | None) -> None:
    """What each board says: in the terminal with the commands to go on with."""
    from drnn_bench.board.caption import heading
    from drnn_bench.board.renderings import verdict_markdown
    from drnn_bench.board.terminal import print_verdict
    from drnn_bench.board.verdict import verdicts
    from drnn_bench.system.escape import markdown, rich

    answers = verdicts(groups, runs_dir)
    if format == Format.csv:
        raise UserError("--verdict has no CSV: --format table, markdown or json")
    if format == Format.json:
        text = json.dumps([answer.json for answer in answers], indent=2, allow_nan=False)
        _write(text, output)
        return
    pairs = list(zip(groups, answers, strict=True))
    if format == Format.markdown or output is not None:
        parts = [f"### {markdown(heading(x))}\n\n{verdict_markdown(y)}\n" for x, y in pairs]
        _write("\n".join(parts), output)
        return
    console = make_console()
    for group, answer in pairs:
        console.print(rich(heading(group), "dim"))
        print_verdict(console, answer)


def _groups(
    runs_dir: str, task: str | None, family: str | None, budget: str | None, base: str = "lstm"
) -> list[BoardGroup]:
    """What has been run in a folder, of what is asked for."""
    from drnn_bench.jobs import runs_folder
    from drnn_bench.results.ranking import rank_rows, select

    rows, notes = runs_folder.read(Path(runs_dir))
    for note in notes:
        say_error(note)
    return select(
        rank_rows(rows, base),
        task=task,
        family=family,
        budget=None if budget is None else parse_budget(budget),
        where=runs_dir,
    )


def _sorted(group: BoardGroup, column: str) -> BoardGroup:
    """Best first where a column has a direction, largest first elsewhere; None last."""
    from drnn_bench.results.board_line import column_names

    names = column_names(group.lines)
    if column not in names:
        raise UserError(f"no column {column!r} to sort by: {nearest(column, names)}")
    known = [line for line in group.lines if getattr(line, column) is not None]
    if any(isinstance(getattr(line, column), dict | list) for line in known):
        raise UserError(f"column {column!r} cannot be sorted")
    ascending = column.startswith(("test", "validation")) and group.direction == "min"
    known.sort(key=lambda line: getattr(line, column), reverse=not ascending)
    missing = [line for line in group.lines if getattr(line, column) is None]
    return replace(group, lines=(*known, *missing))


def _write(text: str, output: str | None) -> None:
    if output is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"output {output}: cannot be written ({error.strerror})") from None
