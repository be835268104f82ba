"""The columns of a board's table, as data: a column is one entry of `COLUMNS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from drnn_bench.board.cells import (
    MISSING,
    gain_text,
    metric_text,
    number_text,
    on_edge_text,
    percent_text,
    rank_text,
    result_text,
    searches_text,
    solved_text,
    trials_text,
    unit,
)
from drnn_bench.results.board_line import BoardGroup, BoardLine

ARCHITECTURE = "architecture"  # the column that a terminal shows on a line of its own
Value = Callable[[BoardLine], float | None]


def _always(group: BoardGroup) -> bool:
    return True


@dataclass(frozen=True)
class Column:
    """One column of a board's table.

    title     `{unit}` in it stands for the metric's unit
    priority  where a terminal is too narrow, columns of the lowest one are shown first; those of
              0 are always there
    text      a line's cell
    right     whether cells are aligned to the right
    better    the value whose largest is the best one, where the column has such an end
    shown     whether a group's table has the column
    """

    title: str
    priority: int
    text: Callable[[BoardLine], str]
    right: bool = True
    better: Value | None = None
    shown: Callable[[BoardGroup], bool] = _always


def _number(
    title: str,
    priority: int,
    value: Value,
    digits: int = 0,
    suffix: str = "",
    *,
    better: bool = False,
    optional: bool = False,
    shown: Callable[[BoardGroup], bool] | None = None,
) -> Column:
    """A column of numbers. An `optional` one is left out where no line has a value."""
    return Column(
        title,
        priority,
        lambda line: number_text(value(line), digits, suffix),
        better=value if better else None,
        shown=shown or (_any(value) if optional else _always),
    )


def _metric(title: str, priority: int, value: Value) -> Column:
    return Column(title, priority, lambda line: metric_text(line.shown_as, value(line)))


def _gain(title: str, priority: int, value: Value) -> Column:
    """A column of differences, left out where no line has one."""
    return Column(
        title, priority, lambda line: gain_text(line.shown_as, value(line)), shown=_any(value)
    )


def _any(value: Callable[[BoardLine], object]) -> Callable[[BoardGroup], bool]:
    return lambda group: any(value(line) is not None for line in group.lines)


def _of_real(group: BoardGroup) -> bool:
    """Whether its finals are of real targets, which have no accuracy."""
    return all(line.n and line.test_accuracy is None for line in group.lines)


COLUMNS = (
    Column("rank", 0, rank_text),
    Column("family", 0, lambda x: x.family, right=False),
    Column("test {unit}", 0, result_text),
    Column("accuracy %", 8, lambda x: percent_text(x.test_accuracy),
           shown=lambda group: group.metric != "accuracy" and not _of_real(group)),
    _number("n", 4, lambda x: x.n),
    Column("searches", 2, searches_text, shown=_any(lambda x: x.search_seeds or None)),
    Column("solved", 1, solved_text, shown=_any(lambda x: x.solved_at)),
    Column("search", 1, lambda x: x.search or MISSING, right=False,
           shown=_any(lambda x: x.search)),
    _number("parameters", 1, lambda x: x.parameters),
    _number("train seq/s", 2, lambda x: x.train_per_s, better=True),
    _number("infer seq/s", 7, lambda x: x.infer_per_s, better=True),
    _number("speed/lstm", 5, lambda x: x.speed_ratio, 2, "x", better=True),
    _number("s to target", 4, lambda x: x.seconds_to_target, 1,
            shown=_any(lambda x: x.target)),
    _number("train seq/s, all steps", 16, lambda x: x.train_all_per_s, better=True, optional=True),
    _number("infer seq/s, all steps", 17, lambda x: x.infer_all_per_s, better=True, optional=True),
    _number("train seq/s, all cores", 18, lambda x: x.train_cores_per_s, better=True,
            optional=True),
    _number("infer seq/s, all cores", 18, lambda x: x.infer_cores_per_s, better=True,
            optional=True),
    _number("latency ms", 16, lambda x: x.latency_ms, 2, optional=True),
    _number("stream µs", 17, lambda x: x.stream_us, optional=True),
    _number("peak MiB", 18, lambda x: x.peak_memory_mb, 1, optional=True),
    _number("MRL", 4, lambda x: x.mrl, 1),
    _number("steps in row", 11, lambda x: x.sequential_steps),
    _number("MACs/step", 12, lambda x: x.macs_per_step, optional=True),
    _number("state bytes", 3, lambda x: x.state_bytes, optional=True),
    _number("weight bytes", 19, lambda x: x.weight_bytes, optional=True),
    _number("edges/node", 12, lambda x: x.recurrent_edges_per_node, 2),
    _metric("val best", 8, lambda x: x.validation_best),
    _metric("val mean", 13, lambda x: x.validation_mean),
    Column("random mean", 9, lambda x: metric_text(x.shown_as, x.startup_mean),
           shown=lambda group: group.protocol == 1),
    Column("gain", 9, lambda x: gain_text(x.shown_as, x.gain), better=lambda x: x.gain,
           shown=lambda group: group.protocol == 1),
    _gain("over random search", 9, lambda x: x.gain_over_random),
    _gain("at equal seconds", 9, lambda x: x.gain_at_seconds),
    Column("test s.e.", 14, lambda x: percent_text(x.test_error)),
    Column("trials", 10, trials_text),
    Column("on edge", 15, on_edge_text, right=False),
    Column("path", 4, lambda x: " ".join(map(number_text, x.path_lengths.values())) or MISSING,
           shown=_any(lambda x: x.path_lengths or None)),
    Column(ARCHITECTURE, 6, lambda x: x.architecture, right=False),
)  # fmt: skip


@dataclass(frozen=True)
class TableText:
    """A group's table as text: what every rendering of it shows. `cells` has a list a line."""

    columns: list[Column]
    titles: list[str]
    cells: list[list[str]]


# The columns by which somebody chooses, six where no task or search adds one.
SHORT = {"rank", "family", "search", "test {unit}", "solved", "parameters", "train seq/s",
         ARCHITECTURE}  # fmt: skip


def as_text(group: BoardGroup) -> TableText:
    shown = [column for column in COLUMNS if column.shown(group)]
    titles = [column.title.format(unit=unit(group)) for column in shown]
    return TableText(shown, titles, [[c.text(line) for c in shown] for line in group.lines])


def as_short_text(group: BoardGroup) -> TableText:
    """The table of those columns by which somebody chooses."""
    whole = as_text(group)
    chosen = [i for i, column in enumerate(whole.columns) if column.title in SHORT]

    def of(row: Sequence[Any]) -> list[Any]:
        return [row[i] for i in chosen]

    return TableText(of(whole.columns), of(whole.titles), list(map(of, whole.cells)))
