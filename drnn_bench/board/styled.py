"""A board as a notebook shows it best: a table of the columns by which somebody chooses."""

from __future__ import annotations

from dataclasses import fields
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pandas as pd

from drnn_bench.board.caption import heading
from drnn_bench.board.cells import result_with_unit
from drnn_bench.board.columns import as_short_text
from drnn_bench.errors import UserError
from drnn_bench.results.board_line import LATER, BoardGroup, BoardLine
from drnn_bench.results.codec import from_json
from drnn_bench.system.escape import html, plain

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

RESULT = "test {unit}"  # of columns.py; here every cell carries its unit


def styled(board: pd.DataFrame) -> Styler:
    """A table of `drnn_bench.run` or `drnn_bench.leaderboard`, or some of its rows, for a notebook:
    the columns that `bench leaderboard` shows first, as text, the families that may be the best in
    bold.

        >>> board = drnn_bench.leaderboard("runs", task="pixel_digits")
        >>> drnn_bench.styled(board).data[["rank", "family"]]
          rank family
        0    1   lstm

    Of several boards each begins with its name. The Styler's `data` is the table of texts, and
    `to_html` gives it to a page. Raises ValueError where the table is empty, or lacks a column.
    """
    lines = [_line(row) for row in board.to_dict("records")]
    if not lines:
        raise UserError("an empty table has nothing to show")
    groups = [BoardGroup(tuple(of_one)) for _, of_one in groupby(lines, _key)]
    rows, right = [], ["rank"]
    for group in groups:
        text = as_short_text(group)
        right += [_title(c.title) for c in text.columns if c.right]
        for i, (line, cells) in enumerate(zip(group.lines, text.cells, strict=True)):
            row = {_title(c.title): cell for c, cell in zip(text.columns, cells, strict=True)}
            row["test"] = result_with_unit(line, group)
            named = {"board": heading(group) if i == 0 else ""} if len(groups) > 1 else {}
            rows.append({key: plain(value) for key, value in (named | row).items()})
    table = pd.DataFrame(rows).fillna("")
    best = [line.rank_low == 1 for line in lines]
    style = table.style.hide(axis="index")
    style.format(escape="html")
    numbers = {"text-align": "right", "white-space": "nowrap"}
    style = style.set_properties(subset=list(dict.fromkeys(right)), **numbers)
    left = [name for name in table.columns if name not in right]
    style = style.set_properties(subset=left, **{"text-align": "left"})
    style = style.apply(lambda _: ["font-weight: bold" if x else "" for x in best], axis=0)
    return style if len(groups) > 1 else style.set_caption(html(heading(groups[0])))


def _title(title: str) -> str:
    return "test" if title == RESULT else title


def _key(line: BoardLine) -> tuple[Any, ...]:
    return BoardGroup((line,)).key


def _line(row: dict[str, Any]) -> BoardLine:
    """The line of a row, with None where the table has a missing value."""
    known = {field.name for field in fields(BoardLine)}
    values = {key: _value(value) for key, value in row.items() if key in known}
    missing = sorted(known - LATER.keys() - values.keys())
    if missing:
        raise UserError(
            f"the table has no column {missing[0]!r}: give rows of drnn_bench.leaderboard whole"
        )
    return BoardLine(**values)


def _value(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    return from_json(value) if isinstance(value, str) and value == "inf" else value
