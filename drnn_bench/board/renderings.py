"""A board as Markdown, CSV and JSON: text that is written to files."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from drnn_bench.board.caption import caption, heading
from drnn_bench.board.columns import TableText, as_short_text, as_text
from drnn_bench.board.reproduce import again
from drnn_bench.board.verdict import Key, Verdict, by_board
from drnn_bench.results.board_line import BoardGroup, as_records
from drnn_bench.system.escape import markdown

DETAILS = "All columns, how they came about, and the commands"


def to_markdown(groups: Sequence[BoardGroup], verdicts: Mapping[Key, Verdict] | None = None) -> str:
    """For each group a heading, its verdict and a table that fits a page; folded below them the
    table with all columns, its caption, and the commands that make it again. `verdicts` are those
    of the whole groups, where these are a part of them."""
    verdicts = by_board(groups) if verdicts is None else verdicts
    parts = []
    for group in groups:
        table = as_text(group)
        parts += [
            f"### {markdown(heading(group))}",
            verdict_markdown(verdicts[group.key]),
            _table(as_short_text(group)),
            f"<details><summary>{DETAILS}</summary>",
            _table(table),
            markdown(caption(group)),
            textwrap.indent(again(group.lines), "    "),
            "</details>",
        ]
    return "\n\n".join(parts) + "\n"


def _table(table: TableText) -> str:
    return markdown_table(table.titles, table.cells, [column.right for column in table.columns])


def verdict_markdown(verdict: Verdict) -> str:
    return f"**{markdown(verdict.headline)}**{markdown(verdict.details)}"


def to_csv(groups: Sequence[BoardGroup]) -> str:
    """A row a line; cells that hold lists or tables are JSON."""
    records = as_records(groups)
    return csv_table(list(records[0]), [map(_cell, record.values()) for record in records])


def to_json(groups: Sequence[BoardGroup]) -> str:
    """A list with an object a line."""
    return json.dumps(as_records(groups), indent=2, allow_nan=False)


def markdown_table(
    titles: Sequence[str], rows: Iterable[Iterable[str]], right: Sequence[bool]
) -> str:
    """A pipe table of escaped cells; `right` says which columns are aligned to the right."""
    return tabulate(
        [list(map(markdown, row)) for row in rows],
        headers=list(map(markdown, titles)),
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["right" if side else "left" for side in right],
    )


def csv_table(titles: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Lines end in a line feed on every system; None is an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
