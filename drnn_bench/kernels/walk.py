"""Recurrences over a number of steps that is not known while they are traced.

`torch.export` with a dynamic length traces a net once for all lengths. A loop over the steps cannot
be traced then, so torch's operator `scan` walks them, which takes what a step computes as a
function. ONNX has the same operator (`Scan`).

Legend: T steps, B batch, I inputs, H units, G gates, s dilation, R steps of a chain, N chains (s*B).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan as torch_walk
from torch.nn import functional as F

from drnn_bench.cells.cell import Cell, State, Weights


def walk(
    cell: Cell, x_TBI: Tensor, weights: Weights, dilation: int, state: State
) -> tuple[Tensor, State]:
    """One layer, see `dispatch.scan`: the outputs [T, B, H], and the state after the last step.

    Zeros fill the steps up to a multiple of the dilation, and one round more: of what could be a
    single round torch would trace that alone. Nothing that is returned depends on them.
    """
    if cell.reads_last:
        return _walk_with_last(cell, x_TBI, weights, state)
    steps, batch, inputs = x_TBI.shape
    rounds = steps
    if dilation > 1:
        rounds = (steps + dilation - 1) // dilation + 1
        x_TBI = F.pad(x_TBI, (0, 0, 0, 0, 0, rounds * dilation - steps))
    from_x_RNG = cell.project(x_TBI.reshape(rounds, dilation * batch, inputs), weights)

    def step(hidden: State, from_x_NG: Tensor) -> tuple[State, State]:
        new = cell.step(from_x_NG, hidden, weights)
        return new, tuple(h.clone() for h in new)

    _, rows_RNH = over_steps(step, tuple(h.flatten(0, 1) for h in state), from_x_RNG)
    rows_TBH = [h.reshape(rounds * dilation, batch, -1)[:steps] for h in rows_RNH]
    after = (torch.cat([old, new])[steps:] for old, new in zip(state, rows_TBH, strict=True))
    return rows_TBH[0], tuple(after)


def _walk_with_last(
    cell: Cell, x_TBI: Tensor, weights: Weights, state: State
) -> tuple[Tensor, State]:
    """A layer whose cell reads the state of the step before too: all steps, one after another."""

    def step(past_sBH: State, from_x_BG: Tensor) -> tuple[State, Tensor]:
        read = tuple(h[0] for h in past_sBH) + tuple(h[-1] for h in past_sBH)
        new = cell.step(from_x_BG, read, weights)
        moved = zip(past_sBH, new, strict=True)
        return tuple(torch.cat([old[1:], h.unsqueeze(0)]) for old, h in moved), new[0].clone()

    after, y_TBH = over_steps(step, state, cell.project(x_TBI, weights))
    return y_TBH, after


def over_steps(step: Callable, state: State, given: Tensor | State) -> tuple[State, Tensor | State]:
    """The state after the last step, and the outputs of all steps [T, ...].

    step:  takes a state and what is given at a step; gives the next state and the step's outputs,
           none of which may be the same tensor as another
    given: tensors [T, ...]
    """
    return torch_walk(step, state, given)
