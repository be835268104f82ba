"""Values of a board's line as the text of a cell, the same in every rendering."""

from __future__ import annotations

import math

from drnn_bench.metrics.metric import MetricFacts
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.significance import share_interval

MISSING = "–"


def unit(group: BoardGroup) -> str:
    """The metric's unit, with an arrow towards its better end."""
    arrow = "↑" if group.direction == "max" else "↓"
    return f"{group.shown_as.unit} {arrow}"


def with_unit(text: str, group: BoardGroup) -> str:
    """The text of a value of the metric with its unit: 97.7 ± 0.9 %."""
    unit = group.shown_as.unit
    return f"{text} {'%' if unit.endswith('%') else unit}"


def number_text(value: float | None, digits: int = 0, suffix: str = "") -> str:
    if value is None or math.isnan(value):
        return MISSING
    return "∞" if value == math.inf else f"{value:,.{digits}f}{suffix}"


def percent_text(share: float | None) -> str:
    return MISSING if share is None or math.isnan(share) else f"{100 * share:.1f}"


def metric_text(facts: MetricFacts, value: float | None) -> str:
    """A value of a metric, in as many digits as the metric is shown with."""
    if value is None or math.isnan(value):
        return MISSING
    return f"{facts.scale * value:{_digits(facts)}}"


def gain_text(facts: MetricFacts, value: float | None) -> str:
    """A difference of two values of a metric, with its sign."""
    if value is None or math.isnan(value):
        return MISSING
    return f"{facts.scale * value:+{_digits(facts)}}"


def _digits(facts: MetricFacts) -> str:
    return ".5g" if facts.decimals is None else f".{facts.decimals}f"


def result_text(line: BoardLine) -> str:
    """The test mean with half of its interval, in the metric's unit; or why there is none."""
    if not line.n:
        return "diverged" if line.diverged_finals else "search only"
    mean = metric_text(line.shown_as, line.test_mean)
    if line.test_low is None or line.test_high is None:
        return mean
    half = (line.test_high - line.test_low) / 2
    return f"{mean} ± {metric_text(line.shown_as, half)}"


def result_with_unit(line: BoardLine, group: BoardGroup) -> str:
    """`result_text` with the metric's unit, where there is a result."""
    text = result_text(line)
    return with_unit(text, group) if line.n else text


def searches_text(line: BoardLine) -> str:
    """How many searches a line is over, and the lowest and the highest of their test means."""
    if not line.search_means:
        return f"{line.searches}"
    low, high = (metric_text(line.shown_as, end(line.search_means)) for end in (min, max))
    return f"{line.searches} ({low} to {high})"


def solved_text(line: BoardLine) -> str:
    """How many finals solved the task, of how many, with Wilson's 95 % interval of the share."""
    if line.solved is None:
        return MISSING
    low, high = share_interval(line.solved, line.n)
    return f"{line.solved}/{line.n} ({100 * low:.0f}–{100 * high:.0f} %)"


def rank_text(line: BoardLine) -> str:
    if line.rank_low is None:
        return MISSING
    if line.rank_low == line.rank_high:
        return f"{line.rank_low}"
    return f"{line.rank_low}–{line.rank_high}"


def trials_text(line: BoardLine) -> str:
    """Complete + pruned trials, and in brackets how many of the rest there were."""
    trials = line.trials
    text = f"{trials['complete']}+{trials['pruned']}"
    rest = [f"{trials[k]} {k}" for k in ("diverged", "failed", "infeasible", "duplicate")
            if trials[k]]  # fmt: skip
    rest += [f"{line.warm} warm"] if line.warm else []
    return f"{text} ({', '.join(rest)})" if rest else text


def on_edge_text(line: BoardLine) -> str:
    return ", ".join(line.on_edge) or MISSING
