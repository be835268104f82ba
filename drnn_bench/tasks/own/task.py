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
one class is rare, balanced_accuracy, macro_f1 and auroc say more.

Protocol: splitting.py says which sequence is in which split, scaling.py how channels are scaled and
missing values filled in. Sequences of different lengths are padded and masked: nets never see what
is beyond an end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.limits import check_memory, naming_memory_errors
from drnn_bench.formats.options import MISSING, names_in
from drnn_bench.formats.reading import Options, Sequences, read
from drnn_bench.metrics.names import METRICS
from drnn_bench.metrics.registry import metric_fault
from drnn_bench.tasks.own.scaling import Scaling, scaling_of
from drnn_bench.tasks.own.splitting import (
    check_classes,
    check_none_is_lost,
    class_counts,
    classes_of,
    duplicates_across,
    splits_of,
)
from drnn_bench.tasks.own.summary import (
    data_summary,
    form_facts,
    form_in_words,
    summary_in_words,
)
from drnn_bench.tasks.own.warnings import data_warnings
from drnn_bench.tasks.sources import find, recorded_name
from drnn_bench.tasks.task import (
    LONGEST,
    SPLITS,
    UNSCORED,
    Arrays,
    Reading,
    Task,
    check_range,
)

T = TypeVar("T")
Piece = tuple[np.ndarray, np.ndarray, str]  # inputs [T, C], labels, and where they were read


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
    missing: str = field(default="refuse", metadata={"quiet": True})
    metric: str = field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default="accuracy", metadata={"quiet": True}
    )
    channels: int | None = field(default=None, metadata={"learned": True, "quiet": True})
    classes: int | None = field(default=None, metadata={"learned": True, "quiet": True})
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
        if self.missing not in MISSING:
            raise UserError(
                f"task own: missing must be one of {', '.join(MISSING)}, got {self.missing!r}"
            )
        fault = metric_fault(self.loss_function, (self.metric,))
        if self.metric not in METRICS or fault:
            raise UserError(f"task own: {fault or f'metric {self.metric!r} is a plug-in'}")

    @property
    def options(self) -> Options:
        """How the files are to be read."""
        return Options(
            target=self.target,
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
        return self._known(self.classes)

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
            return self._read(path)

    def _read(self, path: Path) -> Reading:
        sequences = read(path, self.options)
        names, labels = classes_of(path, sequences)
        if self.length and not sequences.recordings:
            before = names
            sequences = _beginnings(sequences, self.length)
            names, labels = classes_of(path, sequences)
            check_none_is_lost(path, before, names, f"length={self.length}")
        splits, made = splits_of(path, sequences, labels)
        parts = {s: _pieces(sequences, labels, splits == s, self.length) for s in SPLITS}
        counts = class_counts({s: [y for _, y, _ in p] for s, p in parts.items()}, len(names))
        check_classes(path, names, counts)
        train, *others = ([x for x, _, _ in pieces] for pieces in parts.values())
        scaling = scaling_of(
            train,
            [x for xs in others for x in xs],
            self.missing,
            lambda channel: f"{path}: channel {sequences.form.channel(channel)}",
        )
        arrays = _padded(path, parts, scaling, sequences.per_step)
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
            classes=len(names),
            per_step=sequences.per_step,
            unequal=len(arrays["train"]) == 3,
        )
        totals = np.sum([*counts.values()], axis=0).tolist()
        facts = {
            "classes": names,
            **form_facts(sequences, longest),
            **scaling.facts(sequences.offset),
            "constant_channels": [sequences.form.channel(c) for c in scaling.constant],
            "class_counts": dict(zip(map(str, names), totals, strict=True)),
            "duplicates_across_splits": duplicates_across(arrays),
        }
        words = summary_in_words(data, data_summary(task, arrays), names, sequences.per_step)
        shown = form_in_words(sequences, facts)
        notes = [words, shown, *made, *data_warnings(sequences, labels, scaling, facts, arrays)]
        if sequences.recordings and not self.length:
            notes.append("recordings are read whole; length=N cuts them into segments")
        return Reading(task, arrays, (*notes, *sequences.notes), facts)


def _beginnings(sequences: Sequences, length: int) -> Sequences:
    y = [labels[:length] for labels in sequences.y] if sequences.per_step else sequences.y
    return replace(sequences, x=[x[:length] for x in sequences.x], y=y)


def _pieces(
    sequences: Sequences, labels: list[np.ndarray], chosen: np.ndarray, length: int | None
) -> list[Piece]:
    """Those of one split; recordings as segments of `length`, what is left at their ends dropped, a
    shorter recording whole."""
    pieces = []
    for i in np.flatnonzero(chosen):
        x, segment = sequences.x[i], length or len(sequences.x[i])
        for start in range(0, max(1, len(x) - segment + 1), segment):
            pieces.append((x[start : start + segment], labels[i], sequences.where[i]))
    return pieces


def _padded(path: Path, parts: dict[str, list[Piece]], scaling: Scaling, per_step: bool) -> Arrays:
    """The arrays of a task, each channel shifted and scaled."""
    lengths = {s: np.array([len(x) for x, _, _ in pieces]) for s, pieces in parts.items()}
    longest = max(int(n.max()) for n in lengths.values())
    equal = all((n == longest).all() for n in lengths.values())
    count = sum(map(len, lengths.values()))
    check_memory(
        count * (longest * scaling.inputs * 4 + (longest if per_step else 1) * 8),
        f"{path}: {count:,} sequences of up to {longest:,} steps",
        "length=N takes the first N steps of each",
    )
    arrays = {}
    for split, pieces in parts.items():
        x_NTI = np.zeros((len(pieces), longest, scaling.inputs), np.float32)
        y_NT = np.full((len(pieces), longest if per_step else 1), UNSCORED)
        for (x, y, _), row, targets in zip(pieces, x_NTI, y_NT, strict=True):
            row[: len(x)] = scaling.scaled(x)
            targets[: len(y)] = y
        if not np.isfinite(x_NTI).all():
            row, step, channel = np.argwhere(~np.isfinite(x_NTI))[0]
            x, _, where = pieces[row]
            raise UserError(
                f"{where}: {x[step, channel]:g} at step {step + 1}, channel {channel + 1}: so far "
                f"from the training split that float32 cannot hold it once it is scaled"
            )
        x = x_NTI[:, :, 0] if scaling.inputs == 1 else x_NTI
        y = y_NT if per_step else y_NT[:, 0]
        arrays[split] = (x, y) if equal else (x, y, lengths[split])
    return arrays
