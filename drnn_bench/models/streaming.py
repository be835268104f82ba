"""What a layer remembers between the chunks of a sequence.

A layer that looks s steps back remembers s of them. Chunks take and leave them in order; a single
step without gradients reads one row and overwrites it in place, so that it costs the same
whatever s is. A state is therefore consumed by the call that takes it: `clone` it to branch off.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Ring:
    """The last `size` steps of some variables, each a tensor [size, B, H]; the oldest at `at`."""

    def __init__(self, rows: tuple[Tensor, ...], at: int = 0):
        self.rows, self.at = rows, at
        self._owned = False  # rows may still be somebody's outputs: copied before the first write

    @property
    def size(self) -> int:
        return len(self.rows[0])

    def ordered(self) -> tuple[Tensor, ...]:
        """Oldest first."""
        if self.at == 0:
            return self.rows
        return tuple(torch.cat([row[self.at :], row[: self.at]]) for row in self.rows)

    def back(self, steps: int) -> tuple[Tensor, ...]:
        """The rows of `steps` steps ago, each [1, B, H]; 1 is the newest, `size` the oldest."""
        at = (self.at - steps) % self.size
        return tuple(row[at : at + 1] for row in self.rows)

    def push(self, newest: tuple[Tensor, ...]) -> None:
        """Overwrites the oldest rows, in place."""
        if not self._owned:
            self.rows, self._owned = tuple(row.clone() for row in self.rows), True
        for row, new in zip(self.rows, newest, strict=True):
            row[self.at] = new[0]
        self.at = (self.at + 1) % self.size

    def clone(self) -> Ring:
        return Ring(tuple(row.clone() for row in self.rows), self.at)


def detach(state: Any) -> Any:
    """A state from which no gradient flows back; tuples, lists and dicts keep their shape."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, Ring):
        return Ring(tuple(row.detach() for row in state.rows), state.at)
    if isinstance(state, dict):
        return {name: detach(part) for name, part in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(detach(part) for part in state)
    return state


def single_step(x_TBI: Tensor) -> bool:
    """Whether a chunk is one step that nobody differentiates: then rings may turn in place."""
    return len(x_TBI) == 1 and not torch.is_grad_enabled()
