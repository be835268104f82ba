"""`bench leaderboard` and `bench compare`: what has been run, or published, as tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from drnn_bench.cli.options import (
    BudgetOption,
    Format,
    FormatOption,
    RunsOption,
    TaskOption,
    make_console,
    say_error,
)
from drnn_bench.errors import UserError, nearest


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
    from drnn_bench.board import columns, publish

    if check:
        wrong = publish.check()
        for line in wrong:
            say_error(line)
        if wrong:
            raise typer.Exit(1)
        print("every published board is what its records give")
        return
    board = _board(runs_dir, task, family, budget)
    if sort is not None:
        board = _sorted(board, sort)
    texts = {Format.markdown: columns.to_markdown, Format.csv: columns.to_csv}
    if format == Format.table and output is None:
        from drnn_bench.board.terminal import print_board

        print_board(make_console(), board)
        return
    text = texts.get(format, columns.to_json if format == Format.json else columns.to_markdown)(
        board
    )
    _emit(text, output)


def compare(
    task: TaskOption = None,
    runs_dir: RunsOption = "runs",
    base: Annotated[str, typer.Option(help="The family that speed is compared with.")] = "lstm",
    format: FormatOption = Format.table,
) -> None:
    """Families against budgets: the metric, and what it cost in parameters, speed and MRL."""
    from drnn_bench.board import budgets
    from drnn_bench.models.names import FAMILIES

    if base not in FAMILIES:
        raise UserError(f"unknown family {base!r}: {nearest(base, list(FAMILIES))}")
    board = _board(runs_dir, task, None, None, base)
    if format == Format.json:
        print(json.dumps(budgets.to_records(board, base), indent=2))
        return
    if format == Format.table:
        budgets.print_tables(make_console(), board, base)
        return
    print(budgets.to_text(board, base, csv=format == Format.csv), end="")


def _board(
    runs_dir: str, task: str | None, family: str | None, budget: str | None, base: str = "lstm"
):
    from drnn_bench.jobs import runs_folder
    from drnn_bench.jobs.plan import parse_budget
    from drnn_bench.results.ranking import build, select

    rows, notes = runs_folder.read(Path(runs_dir))
    for note in notes:
        say_error(note)
    return select(
        build(rows, base),
        task=task,
        family=family,
        budget=None if budget is None else parse_budget(budget),
        where=runs_dir,
    )


def _sorted(board, column: str):
    """Within each group: best first where a column has a direction, largest first elsewhere."""
    from drnn_bench.results.ranking import GROUP

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
