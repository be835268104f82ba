"""What a search is worth, against random draws; `results.search_worth` computes it."""

from __future__ import annotations

from drnn_bench.board.cells import MISSING
from drnn_bench.report.chart import GREY, Axis, Chart, Point, Series
from drnn_bench.report.group import Group
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.search_worth import Worth, worth

CAPTION = (
    "In steps: the best validation so far, trials in the order of their places, the mean over "
    "searches that differ in the seed alone. Grey: the expected best of as many draws of a random "
    "search of the same space (Dodge et al. 2019), and an outline one standard deviation above and "
    "below. Pruned and diverged trials count as no better than the worst complete one."
)


def against_random(group: Group) -> list[Chart]:
    """For each search that has a random twin, its best so far beside what as many random draws are
    expected to find."""
    studies = list(group.studies.values())
    pairs = [(line, worth(group.studies[line.study], studies)) for line in group.lines]
    known = [(line, found) for line, found in pairs if found is not None]
    return [_chart(group, line, found, i) for i, (line, found) in enumerate(known, 1)]


def _chart(group: Group, line: BoardLine, found: Worth, number: int) -> Chart:
    name = group.name(line)
    return Chart(
        f"over-random-{number}",
        f"The search against random draws: {name}",
        CAPTION,
        Axis("trials"),
        Axis(f"best validation {group.metric}"),
        _series(group, line, found),
        ("family", "trials", "best of the search", "expected of random draws", "± s.d."),
        _rows(group, line, found),
    )


def _series(group: Group, line: BoardLine, found: Worth) -> tuple[Series, ...]:
    ks = range(1, found.trials + 1)
    bests = [(k, best) for k in ks if (best := found.found(k)) is not None]
    chance = [(k, found.by_chance(k)) for k in ks]
    above = [(k, x.mean + x.deviation) for k, x in chance]
    below = [(k, x.mean - x.deviation) for k, x in chance]

    def points(pairs: list[tuple[int, float]]) -> tuple[Point, ...]:
        return tuple(Point(k, group.scaled(value)) for k, value in pairs)

    return (
        Series(group.name(line), points(bests), group.look(line)[0], 0, "steps"),
        Series("random draws", points([(k, x.mean) for k, x in chance]), GREY, 1, "line"),
        Series("random draws ± s.d.", points(above + below[::-1]), GREY, 2, "line"),
    )


def _rows(group: Group, line: BoardLine, found: Worth) -> tuple[tuple[str, ...], ...]:
    rows = []
    for k in range(1, found.trials + 1):
        best, chance = found.found(k), found.by_chance(k)
        shown = MISSING if best is None else group.shown(best)
        rows.append((group.name(line), f"{k}", shown, group.shown(chance.mean),
                     group.shown(chance.deviation)))  # fmt: skip
    return tuple(rows)
