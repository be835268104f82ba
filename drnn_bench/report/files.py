"""Writing a report: whole files or none."""

from __future__ import annotations

from pathlib import Path

from drnn_bench.board.caption import heading
from drnn_bench.errors import UserError
from drnn_bench.report.sections import Section
from drnn_bench.system.escape import file_name
from drnn_bench.system.files import write_whole


def write_page(sections: list[Section], notes: list[str], written: str, path: Path) -> int:
    """Writes the page and gives its size in bytes."""
    from drnn_bench.report.page import page

    data = page(sections, notes, written).encode()
    _write(path, data)
    return len(data)


def write_figures(sections: list[Section], folder: Path) -> int:
    """Writes every chart and drawing as SVG and gives their number."""
    from drnn_bench.report.drawing import alone
    from drnn_bench.report.figures import svg
    from drnn_bench.report.overall_charts import over_tasks

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"figures {folder}: cannot be written ({error.strerror})") from None
    files: dict[str, str] = {}
    firsts = [x.boards[0].ranked.first for x in sections]
    for section, first in zip(sections, firsts, strict=True):
        name = f"{file_name(section.task)}-{first.steps}"
        alike = [x for x in firsts if (x.task, x.steps) == (first.task, first.steps)]
        if len({(x.task_version, x.data_hash) for x in alike}) > 1:
            name += f"-v{first.task_version}-{first.data_hash[:8]}"
        if len({x.protocol for x in alike}) > 1:
            name += f"-protocol-{first.protocol}"
        files |= {f"{name}-{c.key}": svg(c, section.title) for c in section.charts if c.series}
        for board in section.boards:
            prefix, what = f"{name}-{board.ranked.budget}", heading(board.ranked)
            files |= {f"{prefix}-{c.key}": svg(c, what) for c in board.charts if c.series}
            for i, winner in enumerate(board.winners, 1):
                if winner.svg:
                    files[f"{prefix}-dilations-{i}-{winner.family}"] = alone(winner.svg)
    overall = over_tasks([board.ranked for section in sections for board in section.boards])
    files |= {f"overall-{c.key}": svg(c, "all tasks and budgets") for c in overall if c.series}
    for name, text in files.items():
        _write(folder / f"{name}.svg", text.encode())
    return len(files)


def _write(path: Path, data: bytes) -> None:
    if path.is_dir():
        raise UserError(f"output {path}: is a folder; name a file")
    if not path.parent.is_dir():  # a mistyped path makes no folders
        raise UserError(f"output {path}: cannot be written (there is no folder {path.parent})")
    try:
        write_whole(path, data)
    except OSError as error:
        raise UserError(f"output {path}: cannot be written ({error.strerror})") from None
