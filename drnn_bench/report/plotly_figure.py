"""A chart as plotly.js takes it: plain JSON, without what all charts of the page share, which
page.js adds: their layout and colours."""

from __future__ import annotations

import math
from typing import Any

from drnn_bench.report.chart import (
    COLOURS,
    Axis,
    Chart,
    Series,
)
from drnn_bench.system.escape import html

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "pentagon",
           "triangle-down", "hexagon")  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "6px,2px", "2px,6px",
          "12px,3px,3px,3px", "1px,4px")  # fmt: skip


def figure(chart: Chart) -> dict[str, Any]:
    """`data` and `layout`. All text is escaped, for plotly reads some HTML tags in it."""
    return {
        "data": [_trace(series) for series in chart.series],
        "layout": {"xaxis": _axis(chart.x), "yaxis": _axis(chart.y)},
    }


def _trace(series: Series) -> dict[str, Any]:
    colour = COLOURS[series.hue % len(COLOURS)]
    words = [html(point.words, quote=False) for point in series.points]
    trace: dict[str, Any] = {
        "name": html(series.name, quote=False),
        "x": [
            html(p.x, quote=False) if isinstance(p.x, str) else _short(p.x) for p in series.points
        ],
        "y": [_short(point.y) if math.isfinite(point.y) else None for point in series.points],
        "hovertemplate": "%{x}, %{y}<extra>%{fullData.name}</extra>",
    }
    if any(words):
        trace |= {"hovertext": words, "hovertemplate": "%{hovertext}<br>" + trace["hovertemplate"]}
    if series.style == "bars":
        return trace | {"type": "bar", "marker": {"color": colour}}
    trace |= {
        "type": "scatter",
        "mode": "markers" if series.style == "points" else "lines",
        "marker": {"color": colour, "size": 9, "symbol": SYMBOLS[series.mark % len(SYMBOLS)]},
        "line": {
            "color": colour,
            "width": 2,
            "dash": DASHES[series.mark % len(DASHES)],
            "shape": "hv" if series.style == "steps" else "linear",
        },
    }
    if any(point.low is not None for point in series.points):
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [None if p.high is None else _short(p.high - p.y) for p in series.points],
            "arrayminus": [None if p.low is None else _short(p.y - p.low) for p in series.points],
            "color": colour,
            "thickness": 1.5,
        }
    return trace


def _short(value: float) -> float:
    """Six digits: more than a chart can show, and a page holds thousands of them."""
    return float(f"{value:.6g}")


def _axis(axis: Axis) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "title": {"text": html(axis.title, quote=False), "standoff": 8},
        "type": "log" if axis.log else "-",
    }
    if axis.ticks:
        values, words = zip(*axis.ticks, strict=True)
        shown = [html(word, quote=False) for word in words]
        drawn |= {"tickmode": "array", "tickvals": list(values), "ticktext": shown}
    return drawn
