"""What a chart is, as plain data: the page draws it with plotly, `--figures` with matplotlib.

Each chart has a table of its figures, for readers who cannot see the drawing or have no JavaScript.
The caption of a chart without series says why there is nothing to draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# The contrast of each to the page's white and to its dark ground is at least 3.7.
COLOURS = (
    "#2f7fc1",
    "#c9650c",
    "#1f9060",
    "#c0509f",
    "#cf4a4a",
    "#8268c8",
    "#12909a",
    "#96703c",
    "#7f8a1c",
    "#7a7f87",
)
GREY = len(COLOURS) - 1


@dataclass(frozen=True)
class Point:
    """`low` and `high` are the ends of y's interval, if it has one; `words` describe the point."""

    x: float | str
    y: float
    words: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """`hue` chooses the colour, `mark` the marker and the dashes: colour is never alone."""

    name: str
    points: tuple[Point, ...]
    hue: int
    mark: int
    style: Literal["points", "steps", "line", "bars"] = "points"


@dataclass(frozen=True)
class Axis:
    title: str
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Chart:
    """`key` names its file; `head` and `rows` are its table; the first column names a row."""

    key: str
    title: str
    caption: str
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
