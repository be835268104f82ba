"""The classes of a user's sequences, and which sequence is in which split.

Splits that the files give are kept. A missing test split is a fifth of the training sequences, then
a missing validation split a fifth of what is left: drawn class by class with RandomState(0), at
least one of each class that has two. Where sequences have groups, whole groups are drawn instead,
by the same seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import some
from drnn_bench.formats.labels import is_scored
from drnn_bench.formats.reading import Sequences
from drnn_bench.tasks.own.grouping import broken, held_out
from drnn_bench.tasks.task import SPLITS, UNSCORED, Arrays

HELD_OUT = 5  # one in so many


def classes_of(path: Path, sequences: Sequences) -> tuple[list, list[np.ndarray]]:
    """The classes in order, and for each sequence their numbers: one, or one a step, UNSCORED
    where a step is not scored."""
    flat = np.concatenate([np.atleast_1d(y) for y in sequences.y])
    scored = is_scored(flat) if sequences.per_step else np.ones(len(flat), bool)
    numbers = np.full(len(flat), UNSCORED)
    names, numbers[scored] = np.unique(flat[scored], return_inverse=True)
    if len(names) < 2:
        what = f"one class only ({names[0]})" if len(names) else f"every step is {UNSCORED}"
        raise UserError(f"{path}: {what}; at least two classes are needed")
    ends = np.cumsum([np.size(y) for y in sequences.y])
    if sequences.per_step:
        for where, y in zip(sequences.where, np.split(scored, ends[:-1]), strict=True):
            if not y.any():
                raise UserError(
                    f"{where}: no step has a label (all are {UNSCORED}); leave the sequence out"
                )
    return names.tolist(), np.split(numbers, ends[:-1])


def splits_of(
    path: Path, sequences: Sequences, labels: Sequence[np.ndarray]
) -> tuple[np.ndarray, list[str]]:
    """The split of each sequence [N], and notes on the splits that the files did not give."""
    splits = np.array([split or "train" for split in sequences.split], dtype=object)
    alike = sequences.per_step or sequences.real
    kinds = np.zeros(len(splits), int) if alike else np.concatenate(labels)
    made = [split for split in ("test", "validation") if split not in splits]
    rng = np.random.RandomState(0)
    notes = []
    if sequences.group and (words := broken(sequences.group, splits)):
        notes.append(words)
    for split in made:
        if sequences.group:
            rows = np.flatnonzero(splits == "train")
            own = [sequences.group[row] for row in rows]
            splits[rows[held_out(own, kinds[rows], 1 / HELD_OUT, rng)]] = split
            continue
        for kind in np.unique(kinds):
            rows = np.flatnonzero((splits == "train") & (kinds == kind))
            held = min(max(1, round(len(rows) / HELD_OUT)), max(0, len(rows) - 1))
            splits[rng.permutation(rows)[:held]] = split
    for split in SPLITS:
        if split not in splits:
            more = "more" if sequences.real else "more of each class"
            raise UserError(
                f"{path}: {_counted(sequences)} leave none for {split}; "
                f"give {more}, or say which sequence is in which split"
            )
    how = ", whole groups" if sequences.group else "" if alike else ", class by class"
    notes += [f"no {s} split: a fifth of the training sequences{how}, seed 0" for s in made]
    return splits, notes


def _counted(sequences: Sequences) -> str:
    groups = f" of {len(set(sequences.group))} groups" if sequences.group else ""
    return f"{len(sequences.x)} sequences{groups}"


def class_counts(labels: dict[str, list[np.ndarray]], classes: int) -> dict[str, np.ndarray]:
    """Of each split, how many sequences (or scored steps) of each class it has [classes]."""
    flat = {split: np.concatenate(ys) for split, ys in labels.items()}
    return {s: np.bincount(y[y != UNSCORED], minlength=classes) for s, y in flat.items()}


def check_classes(path: Path, names: list, counts: dict[str, np.ndarray]) -> None:
    """Every class is in train; else nothing could learn it."""
    for split in ("validation", "test"):
        strange = np.flatnonzero((counts[split] > 0) & (counts["train"] == 0))
        if len(strange):
            few = ", ".join(str(names[i]) for i in strange[:5])
            raise UserError(
                f"{path}: the {split} split has classes that train lacks: {few}; "
                "give some of them to train, or leave them out"
            )


def check_none_is_lost(path: Path, before: list, after: list, why: str) -> None:
    """Classes of the files are classes of the task."""
    lost = [name for name in before if name not in set(after)]
    if lost:
        raise UserError(
            f"{path}: {why} leaves nothing of {some(map(str, lost))}, "
            f"{len(lost)} of {len(before)} classes; choose a greater length, or leave them out"
        )


def duplicates_across(arrays: Arrays) -> int:
    """How many sequences of validation and test are, as nets see them, the same as one of an
    earlier split."""
    seen: set[bytes] = set()
    count = 0
    for split in SPLITS:
        x, _, *lengths = arrays[split]
        ends = lengths[0] if lengths else np.full(len(x), x.shape[1])
        digests = [
            hashlib.blake2b(row[:end], digest_size=16).digest()
            for row, end in zip(x, ends.tolist(), strict=True)
        ]
        count += sum(digest in seen for digest in digests)
        seen.update(digests)
    return count
