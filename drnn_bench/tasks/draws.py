"""Sequences that are drawn at random: enough different ones, and no sequence in two splits.

Legend: N sequences, T steps, S scored steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.tasks.task import Arrays, Task

FEWEST = 1_000_000  # different sequences that a task must have, many times more than are drawn

# a generator and how many sequences -> x_NT and y_NS
Draw = Callable[[np.random.RandomState, int], tuple[np.ndarray, np.ndarray]]


def check_sequences(task: Task, count: int) -> None:
    """Raises UserError where a task's options leave too few different sequences."""
    if count < FEWEST:
        raise UserError(
            f"task {task.name}: these options give only {count:,} different sequences, at least "
            f"{FEWEST:,} are needed; take a larger vocabulary, or more of what is remembered"
        )


def disjoint_splits(draw: Draw, sizes: Mapping[str, int]) -> Arrays:
    """As many different sequences a split as `sizes` says, always the same ones. A sequence that
    was drawn before is left out, so that none is in two splits."""
    rng, count = np.random.RandomState(0), sum(sizes.values())
    x_NT, y_NS = draw(rng, count)
    while len(rows := _first_places(x_NT)) < count:
        more_x_NT, more_y_NS = draw(rng, count)
        x_NT = np.concatenate([x_NT[rows], more_x_NT])
        y_NS = np.concatenate([y_NS[rows], more_y_NS])
    ends = np.cumsum([*sizes.values()])
    parts = zip(sizes, np.split(rows[:count], ends[:-1]), strict=True)
    return {split: (x_NT[part], y_NS[part]) for split, part in parts}


def _first_places(x_NT: np.ndarray) -> np.ndarray:
    """Where each different sequence stands first, in ascending order."""
    sequences_N = np.ascontiguousarray(x_NT).view(f"V{x_NT.shape[1] * x_NT.itemsize}").ravel()
    places: dict[bytes, int] = {}
    for n, sequence in enumerate(sequences_N):
        places.setdefault(sequence.tobytes(), n)
    return np.fromiter(places.values(), dtype=np.int64)
