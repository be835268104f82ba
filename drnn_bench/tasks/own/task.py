"""Your own sequences, no code: `--task own:path=FILE_OR_FOLDER[,target=COL][,length=N]...`.

What `drnn_bench.formats` reads: .npz/.npy, .parquet/.csv/.tsv, the UCR/UEA archive's .ts, .arff,
.tsv and .txt, idx pairs, a folder of recordings per class. Each sequence is classified at its last
step, or at each step where the labels say so, but for steps that are labelled -100. `target` names
the column or array of labels, or without a header the place in a row, first or last. `length` takes
the first so many steps of each sequence; recordings are cut into segments of that length, after
they were split. `rate` is what recordings are resampled to. `missing` says what is done with
missing values: refuse, ffill or zero+mask. Of tables, `id` and `time` name the columns that say of
which sequence a row is a step and when, `ignore=A+B` those to leave out, and `group` the column
whose sequences stay in one split. `metric` names what ranks the nets: accuracy says little where
one class is rare, balanced_accuracy, macro_f1 and auroc say more. With mse, rmse, mae or r2 the
targets are real numbers, one or several (`target=A+B`) of each sequence or of each step, and nets
predict them; a step without a target is not scored.

`horizon=H` forecasts: a table is one long series (with `id` several), and of each window of `input`
steps the next H values of the column `target` are predicted (forecasting.py). `season=N` is the
period of the seasonal naive forecast.

Protocol: splitting.py says which sequence is in which split, scaling.py how channels are scaled and
missing values filled in, targets.py how real targets are scaled. Sequences of different lengths are
padded and masked: nets never see what is beyond an end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.limits import naming_memory_errors
from drnn_bench.formats.options import MISSING, names_in
from drnn_bench.formats.reading import Options, Sequences, read
from drnn_bench.metrics.names import METRICS
from drnn_bench.metrics.registry import metric_fault
from drnn_bench.tasks.own.forecasting import Forecast, default_input, read_windows
from drnn_bench.tasks.own.padding import beginnings, padded, pieces_of
from drnn_bench.tasks.own.scaling import scaling_of
from drnn_bench.tasks.own.splitting import (
    check_classes,
    check_none_is_lost,
    class_counts,
    classes_of,
    duplicates_across,
    splits_of,
)
from drnn_bench.tasks.own.summary import (
    classes_in_words,
    data_summary,
    form_facts,
    form_in_words,
    summary_in_words,
)
from drnn_bench.tasks.own.targets import (
    BESIDE,
    LOSSES,
    places_of,
    target_names,
    target_scaling,
)
from drnn_bench.tasks.own.warnings import data_warnings
from drnn_bench.tasks.sources import find, recorded_name
from drnn_bench.tasks.task import (
    LONGEST,
    SPLITS,
    Reading,
    Task,
    check_range,
)

MOST_AHEAD = 10_000  # steps of a forecast
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Own(Task):
    data: str | None = field(default=None, metadata={"learned": True})  # the file's name
    path: str | None = field(default=None, metadata={"path": True})
    target: str | None = None
    length: int | None = None  # pyright: ignore[reportIncompatibleMethodOverride] # where not given, that of the longest sequence
    rate: int | None = None
    id: str | None = None
    time: str | None = None
    ignore: str | None = None  # A+B
    group: str | None = None
    horizon: int | None = None
    input: int | None = None  # of a forecast; once the data is read it is `length`
    season: int | None = None
    missing: str = field(default="refuse", metadata={"quiet": True})
    metric: str = field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="accuracy", metadata={"quiet": True}
    )
    channels: int | None = field(default=None, metadata={"learned": True, "quiet": True})
    naive_error: float | None = field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, metadata={"learned": True, "quiet": True}
    )
    naive_value: float | None = field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, metadata={"learned": True, "quiet": True}
    )
    classes: int | None = field(default=None, metadata={"learned": True, "quiet": True})
    targets: int | None = field(default=None, metadata={"learned": True, "quiet": True})
    target_offset: tuple[float, ...] = field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=(0.0,), metadata={"learned": True, "quiet": True}
    )
    target_scale: tuple[float, ...] = field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=(1.0,), metadata={"learned": True, "quiet": True}
    )
    per_step: bool = field(default=False, metadata={"learned": True, "quiet": True})
    unequal: bool = field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=False, metadata={"learned": True, "quiet": True}
    )

    name: ClassVar[str] = "own"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "that of the sequences, which are the user's own"
    summary: ClassVar[str] = "your own sequences (options path, target, id, time, length, ...)"
    default_budget: ClassVar[int] = 10_000
    default_steps: ClassVar[int] = 1_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "length", 2, LONGEST)
        check_range(self, "rate", 1, LONGEST)
        self._check_forecast()
        if self.missing not in MISSING:
            raise UserError(
                f"task own: missing must be one of {', '.join(MISSING)}, got {self.missing!r}"
            )
        for name in ("target_offset", "target_scale"):  # lists where they were read from JSON
            object.__setattr__(self, name, tuple(getattr(self, name)))
        fault = None if self.real else metric_fault(self.loss_function, (self.metric,))
        if self.metric not in METRICS or fault:
            more = f"; of real numbers {', '.join(LOSSES)}"
            words = f"{fault}{more}" if fault else f"metric {self.metric!r} is a plug-in"
            raise UserError(f"task own: {words}")

    def _check_forecast(self) -> None:
        check_range(self, "horizon", 1, MOST_AHEAD)
        check_range(self, "input", 2, LONGEST)
        check_range(self, "season", 1, LONGEST)
        if self.horizon is None:
            for name in ("input", "season"):
                if getattr(self, name) is not None:
                    raise UserError(f"task own: {name} is for forecasts, which need horizon=N")
            return
        for name in ("group", "rate"):
            if getattr(self, name) is not None:
                raise UserError(f"task own: {name} is not for forecasts; leave it out")
        if self.input and self.length and self.input != self.length:
            raise UserError("task own: input and length are one thing in a forecast; give input")
        if self.season and self.asked.input < self.season:
            raise UserError(
                f"task own: season={self.season} is longer than input={self.asked.input}, and the "
                f"seasonal naive forecast needs a season"
            )
        if self.metric == "accuracy":  # the default, of classes
            object.__setattr__(self, "metric", "rmse")
        if not self.real:
            raise UserError(
                f"task own: horizon=N forecasts numbers; metric must be one of "
                f"{', '.join(LOSSES)}, got {self.metric!r}"
            )

    @property
    def asked(self) -> Forecast:
        """What a forecast is to be."""
        horizon = self._known(self.horizon)
        seen = self.input or self.length or default_input(horizon, self.season)
        return Forecast(horizon, seen, self.season, self.metric)

    @property
    def real(self) -> bool:
        """Whether targets are real numbers; else they are classes."""
        return self.metric in LOSSES

    @property
    def loss_function(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return LOSSES.get(self.metric, "cross_entropy")

    @property
    def other_metrics(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        beside = (*BESIDE, "mase") if self.naive_error else BESIDE
        return tuple(name for name in beside if self.real and name != self.metric)

    @property
    def options(self) -> Options:
        """How the files are to be read."""
        return Options(
            target=self.target,
            real=self.real,
            id=self.id,
            time=self.time,
            ignore=names_in(self.ignore),
            group=self.group,
            rate=self.rate,
            missing=self.missing,
        )

    @property
    def input_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._known(self.channels)

    @property
    def output_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._known(self.targets if self.real else self.classes)

    @property
    def scored(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._known(self.length) if self.per_step else 1

    @staticmethod
    def _known(fact: T | None) -> T:
        """What is known once the user has named the data."""
        if fact is None:
            raise UserError("task own: name the data: --task own:path=FILE_OR_FOLDER")
        return fact

    def read(self, data_dir: str | None) -> Reading:
        path = find(Path(data_dir or ".") / self._known(self.path))
        with naming_memory_errors(path):
            return self._read_windows(path) if self.horizon else self._read(path)

    def _read_windows(self, path: Path) -> Reading:
        windows = read_windows(path, self.options, self.asked)
        data = recorded_name(path)
        task = replace(self, data=data, input=None, **windows.learned)
        told = f"the next {task.horizon} of {', '.join(windows.facts['targets'])}"
        words = summary_in_words(data, data_summary(task, windows.arrays), told, "windows")
        return Reading(task, windows.arrays, (words, *windows.notes), windows.facts)

    def _read(self, path: Path) -> Reading:
        sequences = read(path, self.options)
        names, labels = _answers(path, sequences)
        if self.length and not sequences.recordings:
            before = names
            sequences = beginnings(sequences, self.length)
            names, labels = _answers(path, sequences)
            check_none_is_lost(path, before, names, f"length={self.length}")
        splits, made = splits_of(path, sequences, labels)
        parts = {s: pieces_of(sequences, labels, splits == s, self.length) for s in SPLITS}
        targets = {s: [y for _, y, _ in pieces] for s, pieces in parts.items()}
        often = " at every step" if sequences.per_step else ""
        if self.real:
            numbers = target_scaling(path, target_names(sequences, labels[0].shape[1]), targets)
            known = {
                "targets": len(numbers.names),
                "target_offset": numbers.offset,
                "target_scale": numbers.scale,
            }
            told, told_facts = numbers.in_words(often), numbers.facts
        else:
            counts = class_counts(targets, len(names))
            check_classes(path, names, counts)
            totals = np.sum([*counts.values()], axis=0).tolist()
            known = {"classes": len(names)}
            told = classes_in_words(names, often)
            told_facts = {
                "classes": names,
                "class_counts": dict(zip(map(str, names), totals, strict=True)),
            }
        train, *others = ([x for x, _, _ in pieces] for pieces in parts.values())
        scaling = scaling_of(
            train,
            [x for xs in others for x in xs],
            self.missing,
            lambda channel: f"{path}: channel {sequences.form.channel(channel)}",
        )
        arrays = padded(path, parts, scaling, sequences)
        if len(scaling.constant) == scaling.inputs and len(arrays["train"]) == 2:
            raise UserError(
                f"{path}: every channel has one value in all of training; a net could "
                f"tell nothing apart"
            )
        longest = arrays["train"][0].shape[1]
        if longest < 2:
            by = sequences.form.id
            hint = f"; every row has its own {by}, name another column with id=NAME" if by else ""
            raise UserError(f"{path}: every sequence has one step; at least 2 are needed{hint}")
        data = recorded_name(path)
        task = replace(
            self,
            data=data,
            length=longest,
            channels=scaling.inputs,
            **known,
            per_step=sequences.per_step,
            unequal=len(arrays["train"]) == 3,
        )
        facts = {
            **told_facts,
            **form_facts(sequences, longest),
            **scaling.facts(sequences.offset),
            "constant_channels": [sequences.form.channel(c) for c in scaling.constant],
            "duplicates_across_splits": duplicates_across(arrays),
        }
        words = summary_in_words(data, data_summary(task, arrays), told)
        shown = form_in_words(sequences, facts)
        notes = [words, shown, *made, *data_warnings(sequences, labels, scaling, facts, arrays)]
        if sequences.recordings and not self.length:
            notes.append("recordings are read whole; length=N cuts them into segments")
        return Reading(task, arrays, (*notes, *sequences.notes), facts)


def _answers(path: Path, sequences: Sequences) -> tuple[list, list[np.ndarray]]:
    """The names of the classes (none where targets are real), and each sequence's labels."""
    return ([], places_of(sequences)) if sequences.real else classes_of(path, sequences)
