"""`bench report`: the page, and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drnn_bench.cli.options import (
    RunsOption,
    TaskOption,
    say,
    say_error,
)


def report(
    task: TaskOption = None,
    runs_dir: RunsOption = "runs",
    output: Annotated[str, typer.Option(help="The HTML file to write.")] = "report.html",
    figures: Annotated[str | None, typer.Option(help="Also write the charts as SVG to this folder.")] = None,
) -> None:  # fmt: skip
    """One HTML page of everything that has been run: boards, charts, tables. Works offline."""
    from drnn_bench.jobs import runs_folder
    from drnn_bench.report.files import write_figures, write_page
    from drnn_bench.report.sections import make_sections
    from drnn_bench.results import records
    from drnn_bench.results.ranking import rank_rows, select

    rows, notes = runs_folder.read(Path(runs_dir))
    for note in notes:
        say_error(note)
    sections = make_sections(select(rank_rows(rows), task=task, where=runs_dir), rows)
    if figures is not None:
        count = write_figures(sections, Path(figures))
        say(f"{count} figures written to {figures}")
    size = write_page(sections, notes, records.now(), Path(output))
    say(f"Written to {output} ({size / 1e6:.1f} MB)")
