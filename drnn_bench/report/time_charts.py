"""The finalists' validation against the core seconds of their training."""

from __future__ import annotations

from drnn_bench.board.cells import MISSING, gain_text
from drnn_bench.report.chart import Axis, Chart, Point, Series
from drnn_bench.report.group import Group
from drnn_bench.results.training_time import mean_curve


def equal_seconds(group: Group) -> Chart:
    """The mean curves against seconds; in the table, each family when the fastest has ended."""
    curves = {}
    for line in group.lines:
        diverged = line.diverged_finals if line.protocol > 1 else 0
        finals = group.finals[line.study]
        curve = mean_curve(group.studies[line.study], finals, diverged)
        if curve is not None:
            curves[line.study] = line, curve
    shortest = min((curve.seconds for _, curve in curves.values()), default=0.0)
    series, rows = [], []
    for line, curve in curves.values():
        name, last = group.name(line), curve.last_quarter
        seconds = (curve.seconds * step / curve.steps[-1] for step in curve.steps)
        points = [
            Point(at, group.scaled(value), f"step {step:,.0f}")
            for at, value, step in zip(seconds, curve.values, curve.steps, strict=True)
        ]
        series.append(Series(name, tuple(points), *group.look(line), "line"))
        then = curve.at_seconds(shortest)
        better = MISSING if last is None else gain_text(line.shown_as, last)
        end = group.shown(curve.values[-1])
        rows.append((then, (name, group.shown(then), end, f"{curve.seconds:.1f}", better)))
    rows.sort(key=lambda row: row[0], reverse=group.lines[0].direction == "max")
    caption = "No finalist's curve is recorded."
    if series:
        slopes = "; ".join(f"{name} {better}" for _, (name, *_, better) in rows)
        caption = (
            "Mean validation of the finals against core seconds of training, beside other "
            "trainers, from guessing on where that is known. The table has it after "
            f"{shortest:.1f} seconds, when the first family had ended. Still better by, over the "
            f"last quarter of the steps: {slopes}."
        )
    head = ("family", f"after {shortest:.1f} s", "at the end", "core seconds", "last quarter")
    return Chart(
        "seconds",
        "Validation at equal training seconds",
        caption,
        Axis("core seconds of training"),
        Axis(f"validation {group.metric}"),
        tuple(series),
        head,
        tuple(row for _, row in rows),
    )
