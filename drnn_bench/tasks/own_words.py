"""What is said to the user of their own sequences: how they were understood, and what may be wrong.

Nothing here changes what is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from drnn_bench.formats import Sequences
from drnn_bench.formats.files import some
from drnn_bench.formats.sequences import missing_words
from drnn_bench.tasks.scaling import Scaling
from drnn_bench.tasks.task import UNSCORED, Arrays


def doubts(
    found: Sequences,
    labels: Sequence[np.ndarray],
    scaling: Scaling,
    facts: Mapping[str, Any],
    arrays: Arrays,
) -> Iterator[str]:
    """What may be wrong with the data, though it can be used."""
    if found.per_step and (left_out := sum(int((y == UNSCORED).sum()) for y in labels)):
        yield f"{left_out:,} of {sum(map(len, labels)):,} steps are {UNSCORED}: not scored"
    if words := missing_words(found):
        masks = f"; {len(scaling.masked)} mask channels" if scaling.masked else ""
        yield f"{words}: missing={scaling.missing}{masks}"
    if constant := [_constant(found, channel, arrays) for channel in scaling.constant]:
        yield f"one value in all of training, so of no use: channel {some(constant, 12)}"
    classes, same = len(facts["classes"]), facts["duplicates_across_splits"]
    if not found.per_step and 2 * classes > len(found.x):
        yield (
            f"{classes:,} classes among {len(found.x):,} sequences: are the labels numbers to be "
            f"predicted, or identifiers? They are read as classes"
        )
    if same:
        yield (
            f"{same:,} sequences of validation or test are the same as one of another split: "
            f"figures from them are too good"
        )


def _constant(found: Sequences, channel: int, arrays: Arrays) -> str:
    """A channel that is constant in training, by its name, and whether it is so elsewhere."""
    others = [arrays[split][0] for split in ("validation", "test")]
    same = not any((x if x.ndim == 2 else x[:, :, channel]).any() for x in others)
    return found.form.channel(channel) + ("" if same else " (but others in validation or test)")


def form_facts(found: Sequences, longest: int) -> dict[str, Any]:
    """How the files were understood, as JSON values. Steps and channels without a name are
    counted from 1."""
    form = found.form
    named = form.first_step is not None
    return {
        "form": form.name,
        "channel_names": [form.channel(c) for c in range(found.x[0].shape[1])],
        "first_step": form.first_step if named else 1,
        "last_step": form.last_step if named else longest,
        "ignored_columns": [name for name, _ in form.ignored],
    }


def form_words(found: Sequences, facts: Mapping[str, Any]) -> str:
    """The same for people, with the number of sequences (or steps) of each class."""
    form = found.form
    by = f" by {form.id} and {form.time}" if form.id else ""
    channels = f"channels {some(form.channel_names, 12)}; " if form.channel_names else ""
    counts = [f"{name} {count:,}" for name, count in facts["class_counts"].items()]
    return (
        f"form {form.name}{by}: steps {facts['first_step']} to {facts['last_step']}; {channels}"
        f"of each class: {some(counts, 12)}"
    )


def words_of(name: str, facts: dict, names: list, per_step: bool) -> str:
    low, high = facts["length_min"], facts["length_max"]
    shown = ", ".join(map(str, names[:12])) + (", ..." if len(names) > 12 else "")
    splits = ", ".join(f"{count:,} {split}" for split, count in facts["splits"].items())
    return (
        f"{name}: {facts['sequences']:,} sequences of {low if low == high else f'{low} to {high}'} "
        f"steps, {facts['channels']} channel{'s' if facts['channels'] > 1 else ''}, "
        f"{facts['classes']} classes{' at every step' if per_step else ''} ({shown}); {splits}"
    )
