"""Forecasting: windows of long series, and the values that follow each.

A window has `input` steps of all channels; its targets are the next `horizon` values of one column,
all at its last step (direct multi-step). Each series is split in time: the first 64 % of its steps
are for training, the next 16 % for validation, the last 20 % for testing. The targets of a window
lie in one split; its inputs may reach back into the split before, which has been seen by then.
Windows begin at every step, or, where a split would have more than MOST, at every k-th. Channels
and targets are shifted and scaled by the training steps.

A naive forecast learns nothing: persistence repeats the last value, the seasonal one what was a
season ago. The better of the two, by its absolute error over the training windows, is what MASE
divides by.

Legend: N windows, T steps of a window, S steps of a series, C channels, I inputs, H steps ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.limits import check_memory
from drnn_bench.formats.options import Options
from drnn_bench.formats.tables.series import SeriesTable, ignored_in_words, read_series
from drnn_bench.metrics.forms import Predictions, TargetForm
from drnn_bench.metrics.registry import metric_type
from drnn_bench.tasks.own.scaling import scaling_of
from drnn_bench.tasks.own.targets import target_scaling
from drnn_bench.tasks.task import SPLITS, Arrays

BORDERS = (0.0, 0.64, 0.8, 1.0)  # of the splits, as shares of a series
MOST = {"train": 20_000, "validation": 2_000, "test": 4_000}  # windows
INPUTS_PER_STEP = 4  # steps of a window for each step ahead, where `input` is not given


@dataclass(frozen=True)
class Forecast:
    """What is asked: `input` steps are seen, `horizon` are to be told."""

    horizon: int
    input: int
    season: int | None
    metric: str


@dataclass(frozen=True)
class Windows:
    """What a table gives: arrays, the learned fields of the task, facts and notes."""

    arrays: Arrays
    learned: dict[str, Any]
    facts: dict[str, Any]
    notes: tuple[str, ...]


def default_input(horizon: int, season: int | None) -> int:
    return max(INPUTS_PER_STEP * horizon, season or 0, 16)


def read_windows(path: Path, options: Options, asked: Forecast) -> Windows:
    """Raises UserError where a series is too short, or its values do not fit."""
    table = read_series(path, options)
    ends = {split: last_steps(table, asked, split) for split in SPLITS}
    borders = [int(len(y) * BORDERS[1]) for y in table.y]
    scaling = scaling_of(
        [x[:end] for x, end in zip(table.x, borders, strict=True)],
        [x[end:] for x, end in zip(table.x, borders, strict=True)],
        options.missing,
        lambda channel: f"{path}: channel {table.channels[channel]}",
    )
    target = target_scaling(
        path,
        [table.target],
        {"train": [y[:end, None] for y, end in zip(table.y, borders, strict=True)]},
    )
    count = sum(len(steps) for of_split in ends.values() for steps in of_split)
    check_memory(
        count * (asked.input * scaling.inputs + asked.horizon) * 4,
        f"{path}: {count:,} windows of {asked.input:,} steps",
        "input=N takes fewer steps",
    )
    scaled = [scaling.scaled(x) for x in table.x]
    if not all(np.isfinite(x).all() for x in scaled):
        raise UserError(
            f"{path}: a value is so far from the training steps that float32 cannot hold it"
        )
    arrays = {}
    for split, of_split in ends.items():
        x_NTI = np.concatenate(
            [
                x[e[:, None] + np.arange(1 - asked.input, 1)]
                for x, e in zip(scaled, of_split, strict=True)
            ]
        )
        y_NH = np.concatenate([ahead(y, e, asked) for y, e in zip(table.y, of_split, strict=True)])
        if np.isnan(y_NH).all():
            raise UserError(f"{path}: the {split} split has no target")
        x = x_NTI[:, :, 0] if scaling.inputs == 1 else x_NTI
        arrays[split] = (x, y_NH[:, None].astype(np.float32))
    error, value, called = naive(table, ends["train"], asked)
    learned = {
        "length": asked.input,
        "channels": scaling.inputs,
        "targets": asked.horizon,
        "target_offset": target.offset,
        "target_scale": target.scale,
        "naive_error": error,
        "naive_value": value,
    }
    facts = {
        **target.facts,
        "horizon": asked.horizon,
        "form": "series",
        "channel_names": list(table.channels),
        "first_step": table.first_step,
        "last_step": table.last_step,
        "ignored_columns": [name for name, _ in table.ignored],
        **scaling.facts(table.offset),
        "constant_channels": [table.channels[c] for c in scaling.constant],
    }
    return Windows(arrays, learned, facts, _notes(path, table, facts, called))


def last_steps(table: SeriesTable, asked: Forecast, split: str) -> list[np.ndarray]:
    """Of each series the steps that are the last of a window of a split. Raises UserError where a
    series has none."""
    place = SPLITS.index(split)
    steps = []
    for where, y in zip(table.where, table.y, strict=True):
        begin, end = (int(len(y) * share) for share in BORDERS[place : place + 2])
        first, last = max(begin, asked.input) - 1, end - asked.horizon - 1
        if last < first:
            needed = f"input={asked.input} and horizon={asked.horizon}" if not place else (
                f"horizon={asked.horizon}"
            )  # fmt: skip
            raise UserError(
                f"{where}: {len(y):,} steps leave {end - begin:,} for {split}, too few for "
                f"{needed}; choose smaller ones, or give a longer series"
            )
        steps.append(np.arange(first, last + 1))
    stride = -(-sum(map(len, steps)) // MOST[split])
    return [one[::stride] for one in steps]


def ahead(y: np.ndarray, last: np.ndarray, asked: Forecast) -> np.ndarray:
    """The values [N, H] that follow the last steps [N] of windows."""
    return y[last[:, None] + np.arange(1, asked.horizon + 1)]


def naive(table: SeriesTable, ends: list[np.ndarray], asked: Forecast) -> tuple[float, float, str]:
    """Of the better naive forecast over the training windows the mean absolute error, the value of
    the task's metric, and its name."""
    truth_NH = np.concatenate([ahead(y, e, asked) for y, e in zip(table.y, ends, strict=True)])
    known = [_filled(y) for y in table.y]
    steps_H = np.arange(1, asked.horizon + 1)
    back = {"persistence": np.zeros(asked.horizon, int)}  # [H], from the last step of a window
    if asked.season:
        back["the seasonal naive forecast"] = steps_H - asked.season * -(-steps_H // asked.season)
    form = TargetForm("real", asked.horizon)
    found = []
    for name, back_H in back.items():
        told_NH = np.concatenate([y[e[:, None] + back_H] for y, e in zip(known, ends, strict=True)])
        usable_NH = np.where(np.isnan(told_NH), np.nan, truth_NH)
        answers = Predictions(
            form, np.nan_to_num(told_NH)[:, None], usable_NH[:, None], np.zeros(len(truth_NH))
        )
        error, value = (
            kind.value(kind.statistics(answers))
            for kind in (metric_type("mae")(), metric_type(asked.metric)())
        )
        found.append((error, value, name))
    return min(found)


def _filled(y: np.ndarray) -> np.ndarray:
    """A column [S] in which what is missing repeats what is before it."""
    place = np.where(np.isnan(y), 0, np.arange(len(y)))
    return y[np.maximum.accumulate(place)]


def _notes(path: Path, table: SeriesTable, facts: dict[str, Any], called: str) -> tuple[str, ...]:
    many = f"{len(table.x):,} series" if len(table.x) > 1 else "one series"
    order = f"in the order of {table.ordered_by}" if table.ordered_by else "in the file's order"
    notes = [
        f"{many}, steps {order}, {facts['first_step']} to {facts['last_step']}; each is split in "
        f"time, 64 % train, 16 % validation, 20 % test; MASE is against {called}",
        *ignored_in_words(path, table.ignored),
    ]
    missing = sum(int(np.isnan(x).sum()) for x in table.x if x.dtype.kind == "f")
    if missing:
        notes.append(f"{missing:,} values are missing; a target that is missing is not scored")
    if facts["constant_channels"]:
        constant = ", ".join(facts["constant_channels"])
        notes.append(f"one value in all of training, so of no use: channel {constant}")
    return tuple(notes)
