"""The charts of a report that look at finalists."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace
from typing import Any

from drnn_bench.board.columns import shown_interval
from drnn_bench.report.chart import (
    GREY,
    Axis,
    Chart,
    Point,
    Series,
)
from drnn_bench.report.group import Group

Row = dict[str, Any]


def accuracy_by_parameters(group: Group) -> Chart:
    """Over all budgets of a task that share version, data and steps."""
    tested = [x for x in group.lines if x["n"]]
    families = {b: {x["family"] for x in tested if x["budget"] == b} for b in _budgets(tested)}
    alone = [
        b for b, found in families.items() if len(found) == 1 < max(map(len, families.values()))
    ]
    tested = [x for x in tested if x["budget"] not in alone]
    group, budgets = replace(group, lines=tested or group.lines), _budgets(tested)
    named: dict[str, list[Row]] = {}
    for line in tested:
        named.setdefault(group.name(line), []).append(line)
    series = tuple(
        Series(
            name,
            tuple(
                Point(
                    _beside(line, budgets, i, len(named)),
                    group.scaled(line["test_mean"]),
                    f"{line['parameters']:,} parameters: {line['architecture']} (n = {line['n']})",
                    *(
                        None if line[end] is None else group.scaled(line[end])
                        for end in ("test_low", "test_high")
                    ),
                )
                for line in sorted(lines, key=lambda x: x["parameters"])
            ),
            *group.look(lines[0]),
        )
        for i, (name, lines) in enumerate(named.items())
    )
    several = len(budgets) > 1
    ticks = tuple((float(b), f"{b:,}") for b in budgets) if several else ()
    single = sorted({group.name(x) for x in tested if x["n"] == 1})
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
        "Accuracy against parameters" if tested and tested[0]["metric"] == "accuracy"
        else "Test metric against parameters",
        caption,
        Axis("parameters at most" if several else "parameters really used", several, ticks),
        Axis(f"test {group.metric}"),
        series,
        ("family", "budget", "parameters", "test", "n", "architecture"),
        tuple(
            (group.name(x), f"{x['budget']:,}", f"{x['parameters']:,}", shown_interval(x),
             f"{x['n']}", x["architecture"])
            for x in sorted(tested, key=lambda x: (x["budget"], group.lines.index(x)))
        ),
    )  # fmt: skip


def _budgets(lines: list[Row]) -> list[int]:
    return sorted({x["budget"] for x in lines})


def _beside(line: Row, budgets: list[int], place: int, places: int) -> float:
    """Where a line stands: with several budgets, side by side around its own, within a third of
    the way to the next; nets that use nearly the same number would hide one another."""
    if len(budgets) == 1:
        return line["parameters"]
    ratio = min(b / a for a, b in itertools.pairwise(budgets))
    return line["budget"] * ratio ** (((place + 0.5) / places - 0.5) * 2 / 3)


def pareto(group: Group) -> Chart:
    """Which finalists no other beats in both the metric and training speed."""
    timed = [x for x in group.lines if x["n"] and x["train_per_s"] is not None]
    front = pareto_front(timed)
    series = [
        Series(
            group.name(x),
            (
                Point(
                    x["train_per_s"],
                    group.scaled(x["test_mean"]),
                    x["architecture"],
                    *(
                        None if x[end] is None else group.scaled(x[end])
                        for end in ("test_low", "test_high")
                    ),
                ),
            ),
            *group.look(x),
        )
        for x in timed
    ]
    speeds = [x["train_per_s"] for x in timed]
    if len(front) > 1:
        line = tuple(Point(x["train_per_s"], group.scaled(x["test_mean"])) for x in front)
        series.append(Series("Pareto front", line, GREY, 2, "line"))
    caption = "No finalist's speed has been measured on comparable hardware."
    if timed:
        busy = " On a BUSY machine." if any(x["machine"] == "busy" for x in timed) else ""
        caption = (
            "On the front: no other finalist is better in both. Means only: see the intervals. "
            f"Speed: {timed[0]['hardware']}, {timed[0]['threads']} thread.{busy}"
        )
    return Chart(
        "pareto",
        "Pareto front of the metric and training speed",
        caption,
        Axis("training sequences/s", log=bool(speeds) and max(speeds) > 4 * min(speeds)),
        Axis(f"test {group.metric}"),
        tuple(series),
        ("family", "on the front", "test", "train seq/s", "infer seq/s"),
        tuple(
            (group.name(x), "yes" if x in front else "no", shown_interval(x),
             f"{x['train_per_s']:,.0f}", f"{x['infer_per_s']:,.0f}")
            for x in timed
        ),
    )  # fmt: skip


def learning_curves(group: Group) -> Chart:
    """How the finalists' validation went on with training."""
    series, rows = [], []
    for line in group.lines:
        curves = _alike(
            [final["curve"] for final in group.finals[line["study"]] if final.get("curve")]
        )
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


def _alike(curves: list[list[list[float]]]) -> list[list[list[float]]]:
    """Those that were evaluated at the steps that most were: all, unless a record was edited."""
    steps = [tuple(step for step, _ in curve) for curve in curves]
    usual = max(steps, key=steps.count, default=None)
    return [curve for curve, at in zip(curves, steps, strict=True) if at == usual]


def pareto_front(timed: list[Row]) -> list[Row]:
    """The lines that none beats in speed or metric without losing in the other, slowest first."""
    if not timed:
        return []
    sign = 1 if timed[0]["direction"] == "max" else -1

    def beaten(x: Row, by: Row) -> bool:
        mine = x["train_per_s"], sign * x["test_mean"]
        theirs = by["train_per_s"], sign * by["test_mean"]
        return theirs != mine and all(b >= a for a, b in zip(mine, theirs, strict=True))

    front = [x for x in timed if not any(beaten(x, by) for by in timed)]
    return sorted(front, key=lambda x: x["train_per_s"])
