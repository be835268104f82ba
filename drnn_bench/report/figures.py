"""A chart as an SVG file for papers and READMEs, with matplotlib (the extra `figures`)."""

from __future__ import annotations

import io
import warnings

from drnn_bench.errors import UserError
from drnn_bench.report.chart import COLOURS, Chart, Series
from drnn_bench.system.escape import plain

MARKERS = "osD^PX*pvh"
DASHES = ("-", "--", ":", "-.", (0, (8, 3)), (0, (8, 3, 2, 3)), (0, (5, 1)), (0, (1, 4)),
          (0, (9, 2, 2, 2)), (0, (1, 2)))  # fmt: skip
SETTINGS = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "drnn_bench",  # the same records give the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def svg(chart: Chart, what: str) -> str:
    """The chart as SVG on a white ground; `what` is the task or board that it is of.

    Raises UserError where matplotlib is missing.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
    except ImportError:
        raise UserError("--figures needs matplotlib: pip install 'drnn-bench[figures]'") from None
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():  # pyright: ignore[reportArgumentType]
        # The text is not drawn here, so a glyph that this machine's font lacks does not matter.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        axes = figure.add_subplot()
        names = list(dict.fromkeys(str(p.x) for s in chart.series for p in s.points))
        for index, series in enumerate(chart.series):
            if series.style == "bars":
                _bars(axes, series, index, len(chart.series), names)
            else:
                _line(axes, series)
        if any(series.style == "bars" for series in chart.series):
            axes.set_xticks(range(len(names)), map(_plain, names), rotation=30, ha="right")
        elif any(isinstance(point.x, str) for series in chart.series for point in series.points):
            axes.tick_params("x", rotation=30)
        if chart.x.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        if chart.x.ticks:
            values, words = zip(*chart.x.ticks, strict=True)
            axes.set_xticks(values, words)
        axes.set(xlabel=_plain(chart.x.title), ylabel=_plain(chart.y.title))
        axes.set_title(_plain(f"{chart.title}\n{plain(what)}"), loc="left", fontsize=10)
        longest = max((len(series.name) for series in chart.series), default=0)
        columns = max(1, min(3, 105 // (longest + 8)))  # 105 letters fit; 8 are for the sample line
        figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
        text = io.StringIO()
        about = {
            "Date": None,
            "Title": plain(f"{chart.title}: {what}"),
            "Description": plain(chart.caption),
        }
        figure.savefig(text, format="svg", metadata=about)
    return text.getvalue()


def _line(axes, series: Series) -> None:
    colour, points = COLOURS[series.hue % len(COLOURS)], series.points
    x, y = [p.x for p in points], [p.y for p in points]
    if series.style == "points":
        mark = MARKERS[series.mark % len(MARKERS)]
        axes.plot(x, y, mark, color=colour, markersize=5, label=_plain(series.name))
        for p in points:
            if p.low is not None and p.high is not None:
                ends = [[p.y - p.low], [p.high - p.y]]
                axes.errorbar(p.x, p.y, yerr=ends, color=colour, capsize=3, lw=1.2)
        return
    shape = "steps-post" if series.style == "steps" else "default"
    axes.plot(x, y, color=colour, linestyle=DASHES[series.mark % len(DASHES)],
              drawstyle=shape, lw=1.6, label=_plain(series.name))  # fmt: skip


def _bars(axes, series: Series, index: int, count: int, names: list[str]) -> None:
    width = 0.8 / count
    left = [names.index(str(p.x)) - 0.4 + width * (index + 0.5) for p in series.points]
    colour = COLOURS[series.hue % len(COLOURS)]
    heights = [p.y for p in series.points]
    axes.bar(left, heights, width, color=colour, label=_plain(series.name))


def _plain(text: str) -> str:
    """Text without mathematics, which matplotlib reads between dollar signs; lines stay lines."""
    return "\n".join(map(plain, text.split("\n"))).replace("$", r"\$")
