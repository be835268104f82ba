"""Notes on what may be wrong with a user's sequences, though they can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from drnn_bench.formats.files import some
from drnn_bench.formats.reading import Sequences
from drnn_bench.formats.sequences import missing_text
from drnn_bench.tasks.own.scaling import Scaling
from drnn_bench.tasks.task import UNSCORED, Arrays


def data_warnings(
    sequences: Sequences,
    labels: Sequence[np.ndarray],
    scaling: Scaling,
    facts: Mapping[str, Any],
    arrays: Arrays,
) -> Iterator[str]:
    """A note on each thing that may be wrong with the data."""
    count = sum(y.size for y in labels)
    if sequences.real and (left_out := sum(int(np.isnan(y).sum()) for y in labels)):
        yield f"{left_out:,} of {count:,} targets of steps are missing: not scored"
    elif sequences.per_step and (left_out := sum(int((y == UNSCORED).sum()) for y in labels)):
        yield f"{left_out:,} of {count:,} steps are {UNSCORED}: not scored"
    if words := missing_text(sequences):
        masks = f"; {len(scaling.masked)} mask channels" if scaling.masked else ""
        yield f"{words}: missing={scaling.missing}{masks}"
    if constant := [_constant(sequences, channel, arrays) for channel in scaling.constant]:
        yield f"one value in all of training, so of no use: channel {some(constant, 12)}"
    classes, same = len(facts.get("classes", ())), facts["duplicates_across_splits"]
    if not sequences.per_step and 2 * classes > len(sequences.x):
        yield (
            f"{classes:,} classes among {len(sequences.x):,} sequences: are the labels numbers to "
            f"be predicted, or identifiers? They are read as classes; metric=rmse predicts numbers"
        )
    if same:
        yield (
            f"{same:,} sequences of validation or test are the same as one of another split: "
            f"figures from them are too good"
        )


def _constant(sequences: Sequences, channel: int, arrays: Arrays) -> str:
    """A channel that is constant in training, by its name, and whether it is so elsewhere."""
    others = [arrays[split][0] for split in ("validation", "test")]
    same = not any((x if x.ndim == 2 else x[:, :, channel]).any() for x in others)
    return sequences.form.channel(channel) + ("" if same else " (but others in validation or test)")
