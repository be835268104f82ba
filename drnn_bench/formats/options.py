"""Options for reading: what the user says of a file that the file itself does not say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from drnn_bench.errors import UserError

MISSING = ("refuse", "ffill", "zero+mask")  # what to do with a missing value inside a channel


@dataclass(frozen=True, kw_only=True)
class Options:
    """Names are those of columns or arrays. An option at its default says nothing."""

    target: str | None = None  # the labels; real targets in several columns: A+B
    real: bool = False  # the targets are real numbers, no labels of classes
    id: str | None = None  # of which sequence a row is a step
    time: str | None = None  # what orders the steps of a sequence
    ignore: tuple[str, ...] = ()  # left out
    group: str | None = None  # sequences of one group stay in one split
    rate: int | None = None  # Hz; recordings are resampled to it
    missing: str = "refuse"  # one of MISSING


# What each option is for, as a refusal says it.
USES = {
    "target": "target is for arrays, tables and .arff; these files say which the labels are",
    "real": (
        "real targets (metric=mse, rmse, mae, r2) are for arrays, tables, .ts, .arff and rows of a "
        "target and numbers"
    ),
    "id": "id is for tables (csv, tsv, parquet)",
    "time": "time is for tables (csv, tsv, parquet)",
    "ignore": "ignore is for tables (csv, tsv, parquet)",
    "group": "group is for tables (csv, tsv, parquet)",
    "rate": "rate is for recordings (wav, flac, ogg, opus, mp3)",
    "missing": "missing is for tables, arrays and files of the UCR archive",
}


def check_options(options: Options, takes: Collection[str], place: Path) -> None:
    """Raises UserError where an option is given that the reader of `place` does not take."""
    for field in fields(Options):
        value = getattr(options, field.name)
        if value != field.default and field.name not in takes:
            out = "" if field.name == "real" else f"; leave out {field.name}={as_written(value)}"
            raise UserError(f"{place}: {USES[field.name]}{out}")


def names_in(text: str | None) -> tuple[str, ...]:
    """The names in `A+B`."""
    return tuple(name for name in (text or "").split("+") if name)


def as_written(value: Any) -> str:
    """An option's value as the command line takes it."""
    return "+".join(value) if isinstance(value, tuple) else str(value)
