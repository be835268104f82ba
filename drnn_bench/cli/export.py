"""`bench export`: a finalist's weights, to be used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drnn_bench.cli.options import (
    BudgetOption,
    RunsOption,
    TaskOption,
    parse_budget,
    say,
    say_error,
)


def export(
    output: Annotated[str, typer.Option(help="The folder to make.")],
    rank: Annotated[int, typer.Option(help="The board's row, counted from 1.")] = 1,
    task: TaskOption = None,
    budget: BudgetOption = None,
    steps: Annotated[int | None, typer.Option(help="Only the board of so many training steps.")] = None,
    runs_dir: RunsOption = "runs",
) -> None:  # fmt: skip
    """The best seed's weights of a board's row, with its config and a model card."""
    from drnn_bench.export.folder import choose, export_to
    from drnn_bench.jobs import runs_folder
    from drnn_bench.results.ranking import rank_rows, select
    from drnn_bench.search.plugin_code import changes

    folder = Path(runs_dir)
    rows, notes = runs_folder.read(folder)
    for note in notes:
        say_error(note)
    parameters = None if budget is None else parse_budget(budget)
    groups = select(rank_rows(rows), task=task, budget=parameters, where=runs_dir)
    group = choose(groups, rows, steps)
    final = export_to(Path(output), group, rank, rows, folder)
    for line in changes(final.get("plugins", {}), final["task"], final["family"]):
        say_error(f"{line}; the net may compute something else now")
    say(f"{final['family']}, seed {final['seed']}, written to {output}: see its README.md")
