"""Your own sequences, no code: `--task own:path=FILE_OR_FOLDER[,target=COL][,length=N][,rate=HZ]`.

What `drnn_bench.formats` reads: .npz/.npy, .parquet/.csv, UCR/UEA .ts, idx pairs, a folder of
wav/flac per class. Each sequence is classified at its last step, or at each step where the labels
say so. `target` names the column or array of labels. `length` takes the first so many steps of each
sequence; recordings are cut into segments of that length, after they were split. `rate` is what
recordings are resampled to.

Protocol: splits that the files give are kept. A missing test split is a fifth of the training
sequences, then a missing validation split a fifth of what is left: drawn class by class with
RandomState(0), at least one of each class that has two. Every channel is shifted and scaled by the
mean and the standard deviation of its training steps. Sequences of different lengths are padded
and masked: what stands beyond an end is never seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats import Sequences, read
from drnn_bench.tasks.sources import called, find
from drnn_bench.tasks.task import LONGEST, SPLITS, UNSCORED, Arrays, Reading, Task, check_range

HELD_OUT = 5  # one in so many


@dataclass(frozen=True, kw_only=True)
class Own(Task):
    data: str | None = field(default=None, metadata={"learned": True})  # the file's name
    path: str | None = field(default=None, metadata={"path": True})
    target: str | None = None
    length: int | None = None  # where not given, that of the longest sequence
    rate: int | None = None
    channels: int | None = field(default=None, metadata={"learned": True, "quiet": True})
    classes: int | None = field(default=None, metadata={"learned": True, "quiet": True})
    per_step: bool = field(default=False, metadata={"learned": True, "quiet": True})
    unequal: bool = field(default=False, metadata={"learned": True, "quiet": True})

    name: ClassVar[str] = "own"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "that of the sequences, which are the user's own"
    summary: ClassVar[str] = "your own sequences (options path, target, length, rate)"
    metric: ClassVar[str] = "accuracy"
    default_budget: ClassVar[int] = 10_000
    default_steps: ClassVar[int] = 1_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "length", 2, LONGEST)
        check_range(self, "rate", 1, LONGEST)

    @property
    def input_size(self) -> int:
        return self._known(self.channels)

    @property
    def output_size(self) -> int:
        return self._known(self.classes)

    @property
    def scored(self) -> int:
        return self._known(self.length) if self.per_step else 1

    @staticmethod
    def _known(fact: int | None) -> int:
        if fact is None:
            raise UserError("task own: name the data: --task own:path=FILE_OR_FOLDER")
        return fact

    def read(self, data_dir: str | None) -> Reading:
        path = find(Path(data_dir or ".") / self._known(self.path))
        found = read(path, self.target, self.rate)
        if self.length and not found.recordings:
            found = _beginnings(found, self.length)
        names, labels = _labels(path, found)
        splits, made = _splits(path, found, labels)
        _check_classes(path, names, labels, splits)
        parts = {s: _pieces(found, labels, splits == s, self.length) for s in SPLITS}
        mean, deviation = _mean_and_deviation(parts["train"][0])
        arrays = _padded(parts, found.per_step, mean, deviation)
        longest = max(x.shape[1] for x, *_ in arrays.values())
        if longest < 2:
            raise UserError(f"{path}: every sequence has one step; at least 2 are needed")
        task = replace(
            self,
            data=called(path),
            length=longest,
            channels=found.x[0].shape[1],
            classes=len(names),
            per_step=found.per_step,
            unequal=len(arrays["train"]) == 3,
        )
        words = _words(task.data, understood(task, arrays), names, found.per_step)
        whole = ["recordings are read whole; length=N cuts them into segments"]
        notes = (words, *made, *(whole if found.recordings and not self.length else ()))
        facts = {"classes": names, "mean": mean.tolist(), "deviation": deviation.tolist()}
        return Reading(task, arrays, (*notes, *found.notes), facts)


def understood(task: Task, arrays: Arrays) -> dict[str, Any]:
    """What a user wants to see of their data before anything is trained on it."""
    parts = [arrays[split] for split in SPLITS]
    lengths = np.concatenate([(*rest, np.full(len(x), x.shape[1]))[0] for x, _, *rest in parts])
    return {
        "sequences": len(lengths),
        "length_min": int(lengths.min()),
        "length_max": int(lengths.max()),
        "channels": task.input_size,
        "classes": task.output_size,
        "splits": {split: len(arrays[split][0]) for split in SPLITS},
    }


def _beginnings(found: Sequences, length: int) -> Sequences:
    y = [labels[:length] for labels in found.y] if found.per_step else found.y
    return replace(found, x=[x[:length] for x in found.x], y=y)


def _labels(path: Path, found: Sequences) -> tuple[list, list[np.ndarray]]:
    """The classes in order, and for each sequence their numbers: one, or one a step."""
    flat = np.concatenate([np.atleast_1d(y) for y in found.y])
    names, numbers = np.unique(flat, return_inverse=True)
    if len(names) < 2:
        raise UserError(f"{path}: one class only ({names[0]}); at least two are needed")
    ends = np.cumsum([np.size(y) for y in found.y])[:-1]
    return names.tolist(), np.split(numbers, ends)


def _splits(path: Path, found: Sequences, labels: list[np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """The split of each sequence, and what is to be said of those that were made."""
    splits = np.array([split or "train" for split in found.split], dtype=object)
    kinds = np.zeros(len(splits), int) if found.per_step else np.concatenate(labels)
    made = [split for split in ("test", "validation") if split not in splits]
    rng = np.random.RandomState(0)
    for split in made:
        for kind in np.unique(kinds):
            rows = np.flatnonzero((splits == "train") & (kinds == kind))
            held = min(max(1, round(len(rows) / HELD_OUT)), max(0, len(rows) - 1))
            splits[rng.permutation(rows)[:held]] = split
    for split in SPLITS:
        if split not in splits:
            raise UserError(
                f"{path}: {len(splits)} sequences leave none for {split}; "
                "give more of each class, or say which sequence is in which split"
            )
    how = "" if found.per_step else ", class by class"
    return splits, [f"no {s} split: a fifth of the training sequences{how}, seed 0" for s in made]


def _check_classes(path: Path, names: list, labels: list[np.ndarray], splits: np.ndarray) -> None:
    """Every class is in train; else nothing could learn it."""
    seen = {s: np.unique(np.concatenate([y for y, of in zip(labels, splits, strict=True)
                                         if of == s])) for s in SPLITS}  # fmt: skip
    for split in ("validation", "test"):
        strange = np.setdiff1d(seen[split], seen["train"])
        if len(strange):
            few = ", ".join(str(names[i]) for i in strange[:5])
            raise UserError(
                f"{path}: the {split} split has classes that train lacks: {few}; "
                "give some of them to train, or leave them out"
            )


def _pieces(
    found: Sequences, labels: list[np.ndarray], chosen: np.ndarray, length: int | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs [T, channels] and labels of one split; recordings as segments of `length`, what is
    left at their ends dropped, a shorter recording whole."""
    xs, ys = [], []
    for i in np.flatnonzero(chosen):
        x, segment = found.x[i], length or len(found.x[i])
        for start in range(0, max(1, len(x) - segment + 1), segment):
            xs.append(x[start : start + segment])
            ys.append(labels[i])
    return xs, ys


def _mean_and_deviation(xs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of each channel over all steps."""
    steps = np.concatenate(xs)
    mean, deviation = steps.mean(0, dtype=np.float64), steps.std(0, dtype=np.float64)
    deviation[deviation <= 1e-6 * np.abs(mean)] = 1  # a channel that never changes
    return mean, deviation


def _padded(
    parts: dict[str, tuple[list[np.ndarray], list[np.ndarray]]],
    per_step: bool,
    mean: np.ndarray,
    deviation: np.ndarray,
) -> Arrays:
    """The arrays of a task, each channel shifted and scaled."""
    lengths = {split: np.array([len(x) for x in xs]) for split, (xs, _) in parts.items()}
    longest = max(int(n.max()) for n in lengths.values())
    equal = all((n == longest).all() for n in lengths.values())
    arrays = {}
    for split, (xs, ys) in parts.items():
        x_NTI = np.zeros((len(xs), longest, len(mean)), np.float32)
        y_NT = np.full((len(ys), longest if per_step else 1), UNSCORED)
        for x, y, row, targets in zip(xs, ys, x_NTI, y_NT, strict=True):
            row[: len(x)] = (x - mean) / deviation
            targets[: len(y)] = y
        x = x_NTI[:, :, 0] if len(mean) == 1 else x_NTI
        y = y_NT if per_step else y_NT[:, 0]
        arrays[split] = (x, y) if equal else (x, y, lengths[split])
    return arrays


def _words(name: str, facts: dict, names: list, per_step: bool) -> str:
    low, high = facts["length_min"], facts["length_max"]
    shown = ", ".join(map(str, names[:12])) + (", ..." if len(names) > 12 else "")
    splits = ", ".join(f"{count:,} {split}" for split, count in facts["splits"].items())
    return (
        f"{name}: {facts['sequences']:,} sequences of {low if low == high else f'{low} to {high}'} "
        f"steps, {facts['channels']} channel{'s' if facts['channels'] > 1 else ''}, "
        f"{facts['classes']} classes{' at every step' if per_step else ''} ({shown}); {splits}"
    )
