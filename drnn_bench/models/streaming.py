"""The state of a net between the chunks of a sequence.

A layer that looks s steps back remembers s of them. A chunk takes them in order and returns the
next ones. A single step without gradients reads one row and overwrites it in place, so that it
costs the same for every s. The state that it took is then consumed: make a copy (`copy.deepcopy`)
to go on from it twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from drnn_bench.errors import UserError
from drnn_bench.kernels.observed import observed


class Ring:
    """The last `size` steps of some variables, each a tensor [size, B, H]; the oldest at `at`."""

    def __init__(self, rows: tuple[Tensor, ...], at: int = 0):
        self.rows, self.at = rows, at
        self._owned = False  # rows may be outputs that others hold: copied before the first write

    @property
    def size(self) -> int:
        return len(self.rows[0])

    def ordered(self) -> tuple[Tensor, ...]:
        """The rows [size, B, H], the oldest first."""
        if self.at == 0:
            return self.rows
        return tuple(torch.cat([row[self.at :], row[: self.at]]) for row in self.rows)

    def back(self, steps: int) -> tuple[Tensor, ...]:
        """The rows of `steps` steps ago, each [1, B, H]; 1 is the newest, `size` the oldest."""
        at = (self.at - steps) % self.size
        return tuple(row[at : at + 1] for row in self.rows)

    def push(self, newest: tuple[Tensor, ...]) -> None:
        """Overwrites the oldest rows, in place. Where the call is traced the rows move instead, so
        that a step is a function of tensors."""
        if observed(newest):
            pairs = zip(self.ordered(), newest, strict=True)
            self.rows, self.at = tuple(torch.cat([row[1:], new]) for row, new in pairs), 0
            return
        if not self._owned:
            self.rows, self._owned = tuple(row.clone() for row in self.rows), True
        for row, new in zip(self.rows, newest, strict=True):
            row[self.at] = new[0]
        self.at = (self.at + 1) % self.size

    def clone(self) -> Ring:
        return mapped(self, Tensor.clone)

    def __deepcopy__(self, memo: dict) -> Ring:
        return self.clone()


class State:
    """What a net's `stream` returns: the states of its layers (`parts`), and what they belong to:
    nets of the architecture `of`, so many sequences (`batch`), weights of this dtype.

    `copy.deepcopy` and `clone` copy it with its gradients; pickling drops them.
    """

    def __init__(self, parts: Any, of: Any, batch: int, dtype: torch.dtype | None):
        self.parts, self.of, self.batch, self.dtype = parts, of, batch, dtype
        self.consumed = False

    def take(self, of: Any, batch: int, dtype: torch.dtype | None, consume: bool) -> Any:
        """The parts, for a call of a net of the architecture `of`; `consume`: the call will change
        them. Raises UserError, one line, where they do not fit the call."""
        if self.consumed:
            raise UserError(
                "this state was consumed by the single step that took it before; "
                "copy.deepcopy a state to go on from it twice"
            )
        if self.of is not of and self.of != of:
            own, other = (f"{net.family} {net.words}" for net in (self.of, of))
            raise UserError(f"this state is of {own} and this net is {other}")
        if self.batch != batch:
            raise UserError(f"this state is of {self.batch} sequences, got {batch}")
        if self.dtype is not dtype:
            raise UserError(f"this state is of {self.dtype}, the weights are of {dtype} now")
        self.consumed = consume
        return self.parts

    def clone(self) -> State:
        return mapped(self, Tensor.clone)

    def __deepcopy__(self, memo: dict) -> State:
        return self.clone()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"parts": detach(self.parts)}


def mapped(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A copy of a state in which `change` replaces every tensor, within tuples, lists, dicts and
    rings too. Of rings the oldest rows then lie first."""
    if isinstance(state, Tensor):
        return change(state)
    if isinstance(state, Ring):
        return Ring(tuple(change(row) for row in state.ordered()))
    if isinstance(state, State):
        new = State(mapped(state.parts, change), state.of, state.batch, state.dtype)
        new.consumed = state.consumed
        return new
    if isinstance(state, dict):
        return {name: mapped(part, change) for name, part in state.items()}
    if isinstance(state, list | tuple):
        parts = [mapped(part, change) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    return state


def tensors_of(state: Any) -> list[Tensor]:
    """The tensors of a state, in the order in which `mapped` meets them."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(state, keep)
    return found


def detach(state: Any) -> Any:
    """A state through which no gradient flows back."""
    return mapped(state, Tensor.detach)


def single_step(x_TBI: Tensor) -> bool:
    """Whether a chunk is one step without gradients, for which rings may change in place."""
    return len(x_TBI) == 1 and not torch.is_grad_enabled()
