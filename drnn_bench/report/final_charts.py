"""The charts of a report that look at finalists."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import replace

from drnn_bench.board.cells import number_text, result_text
from drnn_bench.report.chart import (
    GREY,
    Axis,
    Chart,
    Point,
    Series,
)
from drnn_bench.report.group import Group
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.training_time import alike


def accuracy_by_parameters(group: Group) -> Chart:
    """Over all budgets of a task that share version, data and steps."""
    tested = [x for x in group.lines if x.n]
    families = {b: {x.family for x in tested if x.budget == b} for b in _budgets(tested)}
    alone = [
        b for b, names in families.items() if len(names) == 1 < max(map(len, families.values()))
    ]
    tested = [x for x in tested if x.budget not in alone]
    group, budgets = replace(group, lines=tested or group.lines), _budgets(tested)
    named: dict[str, list[BoardLine]] = {}
    for line in tested:
        named.setdefault(group.name(line), []).append(line)
    series = tuple(
        Series(
            name,
            tuple(
                group.result_point(
                    line,
                    _beside(line, budgets, i, len(named)),
                    f"{line.parameters:,} parameters: {line.architecture} (n = {line.n})",
                )
                for line in sorted(lines, key=lambda x: x.parameters)
            ),
            *group.look(lines[0]),
        )
        for i, (name, lines) in enumerate(named.items())
    )
    several = len(budgets) > 1
    ticks = tuple((float(b), f"{b:,}") for b in budgets) if several else ()
    single = sorted({group.name(x) for x in tested if x.n == 1})
    caption = "Test mean over fresh seeds, with its 95 % Student t interval."
    if several:
        caption += " Side by side at each budget, in the order of the legend."
    if alone:
        caption += f" Left out, with one family alone: {', '.join(f'{b:,}' for b in alone)}."
    if single:
        caption += f" One seed only, so no interval (n = 1): {', '.join(single)}."
    if not tested:
        caption = "No finalist has a test result yet."
    return Chart(
        "parameters",
        "Accuracy against parameters" if tested and tested[0].metric == "accuracy"
        else "Test metric against parameters",
        caption,
        Axis("parameters at most" if several else "parameters really used", several, ticks),
        Axis(f"test {group.metric}"),
        series,
        ("family", "budget", "parameters", "test", "n", "architecture"),
        tuple(
            (group.name(x), f"{x.budget:,}", f"{x.parameters:,}", result_text(x),
             f"{x.n}", x.architecture)
            for x in sorted(tested, key=lambda x: (x.budget, group.lines.index(x)))
        ),
    )  # fmt: skip


def _budgets(lines: list[BoardLine]) -> list[int]:
    return sorted({x.budget for x in lines})


def _beside(line: BoardLine, budgets: list[int], place: int, places: int) -> float:
    """A line's place on the axis of parameters. With several budgets the lines stand side by side
    around their budget, at most a third of the way to the next: nets that use nearly the same
    number would hide one another."""
    if len(budgets) == 1:
        return line.parameters
    ratio = min(b / a for a, b in itertools.pairwise(budgets))
    return line.budget * ratio ** (((place + 0.5) / places - 0.5) * 2 / 3)


def pareto(group: Group) -> Chart:
    """Which finalists no other beats in both the metric and training speed."""
    timed = {x.study: x.train_per_s for x in group.lines if x.n and x.train_per_s is not None}
    lines = [x for x in group.lines if x.study in timed]
    front = pareto_front(lines)
    series = [
        Series(
            group.name(x),
            (group.result_point(x, timed[x.study], x.architecture),),
            *group.look(x),
        )
        for x in lines
    ]
    if len(front) > 1:
        points = [group.result_point(x, timed[x.study]) for x in front]
        points = [replace(point, low=None, high=None) for point in points]
        series.append(Series("Pareto front", tuple(points), GREY, 2, "line"))
    caption = "No finalist's speed has been measured on comparable hardware."
    if lines:
        busy = " On a BUSY machine." if any(x.machine == "busy" for x in lines) else ""
        caption = (
            "On the front: no other finalist is better in both. Means only: see the intervals. "
            f"Speed: {lines[0].hardware}, {lines[0].threads} thread.{busy}"
        )
    speeds = timed.values()
    return Chart(
        "pareto",
        "Pareto front of the metric and training speed",
        caption,
        Axis("training sequences/s", log=bool(speeds) and max(speeds) > 4 * min(speeds)),
        Axis(f"test {group.metric}"),
        tuple(series),
        ("family", "on the front", "test", "train seq/s", "infer seq/s"),
        tuple(
            (group.name(x), "yes" if x in front else "no", result_text(x),
             number_text(x.train_per_s), number_text(x.infer_per_s))
            for x in lines
        ),
    )  # fmt: skip


def learning_curves(group: Group) -> Chart:
    """The finalists' validation against training steps."""
    series, rows = [], []
    for line in group.lines:
        curves = alike([final["curve"] for final in group.finals[line.study] if final.get("curve")])
        points = []
        for at in zip(*curves, strict=True):  # all seeds are evaluated at the same steps
            step, values = at[0][0], [value for _, value in at]
            mean, n = statistics.mean(values), f"{len(values)}"
            points.append(Point(step, group.scaled(mean)))
            shown = (group.shown(v) for v in (mean, min(values), max(values)))
            rows.append((group.name(line), f"{step:,}", *shown, n))
        if points:
            series.append(Series(group.name(line), tuple(points), *group.look(line), "line"))
    caption = "Validation of the finalists as they train: the mean over the fresh seeds."
    if not series:
        caption = "No finalist's curve is recorded."
    return Chart(
        "curves",
        "Learning curves",
        caption,
        Axis("training steps"),
        Axis(f"validation {group.metric}"),
        tuple(series),
        ("family", "step", "validation mean", "lowest", "highest", "n"),
        tuple(rows),
    )


def pareto_front(lines: Sequence[BoardLine]) -> list[BoardLine]:
    """The lines that none beats in speed or metric without losing in the other, slowest first.

    Every line has a test mean and a training speed.
    """

    def merits(line: BoardLine) -> tuple[float, float]:
        assert line.train_per_s is not None
        assert line.test_mean is not None
        return line.train_per_s, line.test_mean if line.direction == "max" else -line.test_mean

    def beaten(line: BoardLine, other: BoardLine) -> bool:
        a, b = merits(line), merits(other)
        return a != b and all(y >= x for x, y in zip(a, b, strict=True))

    front = [line for line in lines if not any(beaten(line, other) for other in lines)]
    return sorted(front, key=merits)
