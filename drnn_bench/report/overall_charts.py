"""The charts of a report over all its tasks and budgets; `results.aggregate` computes them."""

from __future__ import annotations

from collections.abc import Sequence

from drnn_bench.board.overall import TITLES, heading, rows
from drnn_bench.report.chart import Axis, Chart, Point, Series
from drnn_bench.report.group import hue
from drnn_bench.results.aggregate import Together, together
from drnn_bench.results.board_line import BoardGroup

SCORES = [i / 50 for i in range(51)]


def over_tasks(groups: Sequence[BoardGroup]) -> list[Chart]:
    """Two charts for each protocol whose groups count together; none where no groups do."""
    return [chart for one in together(groups) for chart in _charts(one)]


def _charts(one: Together) -> list[Chart]:
    end = f"-protocol-{one.protocol}"
    title = f"Interquartile mean over tasks and budgets, protocol {one.protocol}"
    axis = Axis("score: 0 guessing, 1 the best possible")
    means = tuple(
        Series(x.family, (Point(x.family, x.iqm, "", x.low, x.high),), *_look(x.family))
        for x in one.standings
    )
    table = tuple(tuple(row) for row in rows(one))
    charts = [Chart(f"iqm{end}", title, heading(one), Axis("family"), axis, means, TITLES, table)]
    if not one.standings:
        return charts
    profiles = tuple(
        Series(
            x.family,
            tuple(Point(score, 100 * x.share_above(score)) for score in SCORES),
            *_look(x.family),
            "line",
        )
        for x in one.standings
    )
    caption = (
        "The share of a family's finals whose score is above each score: a line that lies higher "
        "everywhere is better whatever score is asked for. Its figures are in the table above."
    )
    share = Axis("share of finals above, %")
    return [*charts, Chart(f"profile{end}", "Performance profile", caption, axis, share, profiles)]


def _look(family: str) -> tuple[int, int]:
    return hue(family), hue(family)
