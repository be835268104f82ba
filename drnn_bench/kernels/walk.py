"""Recurrences over a number of steps that is not known while they are traced.

`torch.export` with a dynamic length traces a net once for all lengths. A loop over the steps cannot
be traced then, so torch's operator `scan` walks them, which takes what a step computes as a
function. ONNX has the same operator (`Scan`).

Legend: T steps, B batch, I inputs, H units, G gates, s dilation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, State, Weights


def walk(cell: Cell, x_TBI: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
    """One layer, see `dispatch.scan`: the outputs [T, B, H], and the state after the last step.

    All steps follow one another, whatever the dilation is: chains side by side would need T / s,
    and torch takes minutes to reason about such sizes in a deep net.
    """

    def step(past: State, from_x_BG: Tensor) -> tuple[State, Tensor]:
        read = tuple(h_sBH[0] for h_sBH in past)
        if cell.reads_last:
            read += tuple(h_sBH[-1] for h_sBH in past)
        new = cell.step(from_x_BG, read, weights)
        moved = zip(past, new, strict=True)
        return tuple(torch.cat([old[1:], h.unsqueeze(0)]) for old, h in moved), new[0].clone()

    first = tuple(
        h_sBH.clone() for h_sBH in state
    )  # of one tensor given twice `scan` would make one
    after, y_TBH = over_steps(step, first, cell.project(x_TBI, weights))
    return y_TBH, after


def over_steps(step: Callable, state: Any, given: Any) -> tuple[Any, Any]:
    """The state after the last step, and the outputs of all steps [T, ...].

    step:  takes a state and what is given at a step; gives the next state and the step's outputs,
           none of which may be the same tensor as another
    given: tensors [T, ...]
    """
    from torch._higher_order_ops.scan import scan  # imports the compiler in some versions of torch

    return scan(step, state, given)
