"""`bench export`: a finalist's weights, to be used."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drnn_bench.cli.options import (
    BudgetOption,
    RunsOption,
    TaskOption,
    parse_budget,
    say,
    say_error,
)

if TYPE_CHECKING:
    from drnn_bench.export.onnx.check import Checked


class ExportFormat(StrEnum):
    torch = "torch"
    onnx = "onnx"


def export(
    output: Annotated[str, typer.Option(help="The folder to make.")],
    rank: Annotated[int, typer.Option(help="The board's row, counted from 1.")] = 1,
    task: TaskOption = None,
    budget: BudgetOption = None,
    steps: Annotated[int | None, typer.Option(help="Only the board of so many training steps.")] = None,
    runs_dir: RunsOption = "runs",
    format: Annotated[ExportFormat, typer.Option(help="torch, or onnx: ONNX files beside it, checked over the test set.")] = ExportFormat.torch,
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
    exported = export_to(
        Path(output), group, rank, rows, folder, onnx=format == ExportFormat.onnx, say=say
    )
    final = exported.final
    for line in changes(final.get("plugins", {}), final["task"], final["family"]):
        say_error(f"{line}; the net may compute something else now")
    say(f"{final['family']}, seed {final['seed']}, written to {output}: see its README.md")
    if exported.checked is not None:
        say(_beside_torch(exported.checked, group.first.metric))


def _beside_torch(checked: Checked, metric: str) -> str:
    return (
        f"onnxruntime answers as torch does over the test set: {metric} {checked.runtime:.6g}, "
        f"torch {checked.torch:.6g}; the outputs, the largest {checked.largest:.3g}, differ by at "
        f"most {checked.difference:.2g} ({checked.allowed:.2g} is let through), and step.onnx from "
        f"model.onnx by {checked.step:.2g}"
    )
