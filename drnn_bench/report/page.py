"""The page: one HTML file that needs nothing else, neither a network nor JavaScript.

Without JavaScript the tables are open and the charts' places hidden. Every text is escaped, and a
policy in the head forbids the page to load anything from anywhere.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drnn_bench.board.caption import caption, heading
from drnn_bench.board.cells import result_with_unit
from drnn_bench.board.columns import as_short_text, as_text
from drnn_bench.board.reproduce import again
from drnn_bench.board.verdict import Verdict, by_board
from drnn_bench.report.chart import Chart
from drnn_bench.report.overall_charts import over_tasks
from drnn_bench.report.plotly_figure import figure
from drnn_bench.report.sections import (
    COST,
    FAR,
    SURE,
    Board,
    Section,
    provenance_rows,
    warnings,
)
from drnn_bench.results.board_line import BoardGroup
from drnn_bench.system.escape import html

TEMPLATES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; form-action 'none'; base-uri 'none'"
)


def page(sections: list[Section], notes: list[str], written: str) -> str:
    """The whole document; `notes` are about the reading of the records, `written` a moment."""
    groups = [board.ranked for section in sections for board in section.boards]
    tasks = list(dict.fromkeys(section.task for section in sections))
    return (
        _templates()
        .get_template("page.html")
        .render(
            title=_title(tasks),
            sections=sections,
            verdicts=by_board(groups),
            overall=over_tasks(groups),
            notes=notes,
            written=written,
            figures=Figures(),
            policy=Markup(POLICY),
            style=_asset("style.css"),
            script=_asset("page.js"),
            plotly=_packed_plotly(),
        )
    )


def _title(tasks: list[str]) -> str:
    return f"Leaderboard: {tasks[0]}" if len(tasks) == 1 else f"Leaderboards of {len(tasks)} tasks"


@lru_cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.globals |= {
        "zip": zip,
        "heading": heading,
        "caption": caption,
        "as_text": as_text,
        "as_short_text": as_short_text,
        "commands": _commands,
        "teaser": _teaser,
        "breakable": _breakable,
        "warnings_of": _warnings_of,
        "provenance_rows": provenance_rows,
        "FAR": FAR,
        "SURE": SURE,
        "COST": COST,
    }
    return templates


def _escaped(value: Any) -> Markup:
    """Jinja's own escaping leaves control characters as they are; ours shows what they are."""
    return value if isinstance(value, Markup) else Markup(html(value))


def _breakable(text: str) -> Markup:
    """A title that may break behind the marks of a task's name, where a phone is too narrow."""
    return Markup(re.sub(r"(?<=[:,=_])(?=\S)", "<wbr>", html(text)))


def _teaser(group: BoardGroup, verdict: Verdict) -> str:
    """The verdict in a few words."""
    if verdict.take is None or not group.lines:
        return verdict.headline
    return f"{verdict.headline}: {result_with_unit(group.lines[0], group)}"


def _commands(group: BoardGroup) -> Markup:
    """The commands that make a board again, a line each."""
    return Markup("\n".join(map(html, again(group.lines).split("\n"))))


def _warnings_of(board: Board) -> list[str]:
    return warnings(board.group, board.winners)


class Figures:
    """The charts of a page for plotly.js, in the order in which the template meets them. Together
    they pack to an eighth: charts of one kind are much alike."""

    def __init__(self) -> None:
        self._figures: list[dict[str, Any]] = []

    def add(self, chart: Chart) -> int:
        """The chart's place among them."""
        self._figures.append(figure(chart))
        return len(self._figures) - 1

    def packed(self) -> Markup:
        return _packed(json.dumps(self._figures, allow_nan=False, separators=(",", ":")))


@lru_cache
def _packed_plotly() -> Markup:
    """plotly.js is most of the page; packed it is 2 MB rather than 5."""
    from plotly.offline import get_plotlyjs

    return _packed(get_plotlyjs())


def _packed(text: str) -> Markup:
    """For a script element; `page.js` unpacks it. The letters of base 64 need no escaping."""
    return Markup(base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii"))


def _asset(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
