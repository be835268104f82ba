"""The scan as a loop over the steps, each step the cell's own: what the other scans are held to.

Legend: T steps, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, State, Weights


def scan(
    cell: Cell, x_TBI: Tensor, weights: Weights, dilation: int = 1, state: State | None = None
) -> tuple[Tensor, State]:
    """See `dispatch.scan`."""
    if state is None:
        zeros = x_TBI.new_zeros(dilation, x_TBI.shape[1], cell.units(weights))
        state = (zeros,) * cell.states
    past = [tuple(row) for row in zip(*(variable.unbind() for variable in state), strict=True)]
    for t, x_BI in enumerate(x_TBI):
        read = past[t] + past[-1] if cell.reads_last else past[t]
        past.append(cell.step(cell.project(x_BI, weights), read, weights))
    y_TBH = torch.stack([entry[0] for entry in past[dilation:]])
    return y_TBH, tuple(torch.stack(rows) for rows in zip(*past[len(x_TBI) :], strict=True))
