"""The page: one HTML file that needs nothing else, neither a network nor JavaScript.

Without JavaScript the tables are open and the charts' places hidden. Every text is escaped, and a
policy in the head forbids the page to load anything from anywhere.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from drnn_bench.board.caption import caption, heading
from drnn_bench.board.columns import as_text
from drnn_bench.board.reproduce import again
from drnn_bench.report.chart import Chart
from drnn_bench.report.plotly_figure import figure
from drnn_bench.report.sections import (
    Board,
    Section,
    provenance_rows,
    warnings,
)
from drnn_bench.results.board_line import BoardGroup
from drnn_bench.system.escape import html

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; form-action 'none'; base-uri 'none'"
)


def page(sections: list[Section], notes: list[str], written: str) -> str:
    """The whole document; `notes` are about the reading of the records, `written` a moment."""
    tasks = list(dict.fromkeys(section.task for section in sections))
    title = f"Leaderboard: {', '.join(tasks)}"
    body = "".join(_section(section, number) for number, section in enumerate(sections))
    links = "".join(
        f'<li><a href="#task-{number}">{html(section.title)}</a></li>'
        for number, section in enumerate(sections)
    )
    nav = f'<nav aria-label="Tasks"><ul>{links}</ul></nav>' if len(sections) > 1 else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{html(title)}</title>
<style>{_asset("style.css")}</style>
<noscript><style>.chart {{ display: none; }}</style></noscript>
</head>
<body>
<a class="skip" href="#main">Skip to the boards</a>
<header>
<h1>{html(title)}</h1>
<p class="prose">Sequence models searched with equal effort under a parameter budget, their
finalists trained again on fresh seeds. Made by drnn_bench from its records on {html(written)}.
Every chart has its table below it.</p>
{_warnings("Reading the records", notes, 2)}
{nav}
</header>
<main id="main">
{body}
</main>
<script type="application/gzip" id="plotly">{_packed_plotly()}</script>
<script>{_asset("page.js")}</script>
</body>
</html>
"""


def _section(section: Section, number: int) -> str:
    """The boards of every budget first, then what explains them."""
    return (
        f'<section id="task-{number}" aria-labelledby="task-{number}-title">'
        f'<h2 id="task-{number}-title">{html(section.title)}</h2>'
        f"{''.join(_board(board) for board in section.boards)}"
        f"{''.join(_chart(chart, 3) for chart in section.charts)}"
        f"{''.join(_details(board) for board in section.boards)}"
        "<section><h3>Provenance</h3>"
        f"{_table('Where each row comes from', *provenance_rows(section), left=True)}"
        "</section></section>"
    )


def _board(board: Board) -> str:
    group = board.ranked
    shown = "\n".join(map(html, again(group.lines).split("\n")))
    return (
        f"<section><h3>{html(heading(group))}</h3>"
        f"{_ranked(group)}"
        f'<p class="prose">{html(caption(group))}</p>'
        f"<pre><code>{shown}</code></pre>"
        f"{_warnings('Warnings', warnings(board.group, board.winners), 4)}</section>"
    )


def _details(board: Board) -> str:
    """Its charts, and its winners' drawings."""
    budget = board.ranked.budget
    drawings = "".join(
        f"<h5>{html(winner.name)}: {html(winner.architecture)}</h5>"
        f'<div class="scroll" role="region" tabindex="0" '
        f'aria-label="Drawing: {html(winner.name)}">{winner.svg}</div>'
        if winner.svg
        else f"<h5>{html(winner.name)}</h5><p>{html(winner.why)}</p>"
        for winner in board.winners
    )
    return (
        f"<section><h3>Finalists and search at {budget:,} parameters</h3>"
        f"{''.join(_chart(chart, 4) for chart in board.charts)}"
        "<section><h4>The winners' dilations</h4>"
        '<p class="prose">The nets that may be the best: nodes by layer over the last steps of a '
        "sequence, the input at the bottom. Strong: what the last output depends on. Edges from "
        "before the first step are not drawn, nor that a clockwork RNN's slower modules feed the "
        "faster ones.</p>"
        f"{drawings}</section></section>"
    )


def _ranked(group: BoardGroup) -> str:
    """The board's table: the cells of every other rendering of it."""
    text = as_text(group)
    head = "".join(
        f'<th scope="col"{_side(column.right)}>{html(title)}</th>'
        for column, title in zip(text.columns, text.titles, strict=True)
    )
    body = ""
    for line, cells in zip(group.lines, text.cells, strict=True):
        body += '<tr class="best">' if line.rank_low == 1 else "<tr>"
        for column, cell in zip(text.columns, cells, strict=True):
            tag = 'th scope="row"' if column.title == "family" else "td"
            body += f"<{tag}{_side(column.right)}>{html(cell)}</{tag.split()[0]}>"
        body += "</tr>"
    said = f"{heading(group)}. Best first; marked rows may be the best."
    return _region(said, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>", "board")


def _chart(chart: Chart, level: int) -> str:
    drawn = ""
    if chart.series:
        spec = json.dumps(figure(chart), allow_nan=False, separators=(",", ":"))
        spec = spec.replace("<", "\\u003c")
        drawn = (
            f'<div class="chart" role="group" aria-label="Chart: {html(chart.title)}. '
            'Its figures are in the table below."></div>'
            f'<script type="application/json">{spec}</script>'
        )
    table = ""
    if chart.rows:
        count = f"{len(chart.rows)} row{'s' * (len(chart.rows) != 1)}"
        table = (
            f'<details class="data" open><summary>Table: {html(chart.title)} ({count})</summary>'
            f"{_table(chart.title, chart.head, chart.rows)}</details>"
        )
    return (
        f'<section data-chart="{html(chart.key)}"><h{level}>{html(chart.title)}</h{level}>'
        f"<figure>{drawn}<figcaption>{html(chart.caption)}</figcaption></figure>"
        f"{table}</section>"
    )


def _table(
    title: str, head: Iterable[str], rows: Iterable[Iterable[str]], left: bool = False
) -> str:
    top = "".join(
        f'<th scope="col"{_side(i > 0 and not left)}>{html(cell)}</th>'
        for i, cell in enumerate(head)
    )
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td{_side(not left)}>{html(cell)}</td>" for cell in rest)
        body += f'<tr><th scope="row" class="left">{html(first)}</th>{cells}</tr>'
    return _region(title, f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>", "tall")


def _region(title: str, inside: str, kind: str) -> str:
    """A table that scrolls by itself where it is too wide, by keyboard too."""
    return (
        f'<div class="scroll {kind}" role="region" tabindex="0" '
        f'aria-label="Table: {html(title)}">'
        f"<table><caption><span>{html(title)}</span></caption>{inside}</table></div>"
    )


def _warnings(title: str, said: list[str], level: int) -> str:
    if not said:
        return ""
    items = "".join(f"<li>{html(line)}</li>" for line in said)
    return f'<aside class="warnings"><h{level}>{title}</h{level}><ul>{items}</ul></aside>'


def _side(right: bool) -> str:
    return "" if right else ' class="left"'


@lru_cache
def _packed_plotly() -> str:
    """plotly.js is most of the page; packed it is 2 MB rather than 5, and `page.js` unpacks it."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode("ascii")


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
