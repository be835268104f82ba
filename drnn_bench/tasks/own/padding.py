"""Sequences as a task's arrays: their beginnings or segments, scaled, padded to one length.

Legend: N sequences, T steps, C channels, I inputs (channels and masks), D real targets.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.limits import check_memory
from drnn_bench.formats.reading import Sequences
from drnn_bench.tasks.own.scaling import Scaling
from drnn_bench.tasks.task import UNSCORED, Arrays

# Inputs [T, C]; labels [1] or [T], or real targets with an axis more, [D]; where they were read.
Piece = tuple[np.ndarray, np.ndarray, str]


def beginnings(sequences: Sequences, length: int) -> Sequences:
    y = [labels[:length] for labels in sequences.y] if sequences.per_step else sequences.y
    return replace(sequences, x=[x[:length] for x in sequences.x], y=y)


def pieces_of(
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


def padded(
    path: Path, parts: dict[str, list[Piece]], scaling: Scaling, sequences: Sequences
) -> Arrays:
    """The arrays of a task, each channel shifted and scaled."""
    lengths = {s: np.array([len(x) for x, _, _ in pieces]) for s, pieces in parts.items()}
    longest = max(int(n.max()) for n in lengths.values())
    equal = all((n == longest).all() for n in lengths.values())
    count = sum(map(len, lengths.values()))
    steps = longest if sequences.per_step else 1
    blank = np.float32(np.nan) if sequences.real else UNSCORED
    check_memory(
        count * (longest * scaling.inputs * 4 + steps * 8),
        f"{path}: {count:,} sequences of up to {longest:,} steps",
        "length=N takes the first N steps of each",
    )
    arrays = {}
    for split, pieces in parts.items():
        x_NTI = np.zeros((len(pieces), longest, scaling.inputs), np.float32)
        y_NT = np.full((len(pieces), steps, *pieces[0][1].shape[1:]), blank)  # of targets [N, T, D]
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
        y = y_NT if steps > 1 or y_NT.ndim == 3 else y_NT[:, 0]
        arrays[split] = (x, y) if equal else (x, y, lengths[split])
    return arrays
