"""The scan in torch's operations, over the reshaped sequence.

A layer of dilation s is s interleaved chains that never meet (Chang et al. 2017, section 2.1).
Viewed as [T/s, s*B, I] they are one plain recurrence of T/s steps over a batch of s*B. Where s does
not divide T, the last T mod s steps are one more step of the first chains. Nothing is padded, so
the state after the last step is exact.

Legend: T steps, B batch, I inputs, H units, s dilation, R steps of a chain, N chains.
"""

from __future__ import annotations

import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, State, Weights
from drnn_bench.cells.skip import Skip
from drnn_bench.kernels import onnx_layers
from drnn_bench.kernels.linear import linear_scan
from drnn_bench.kernels.observed import size, symbolic
from drnn_bench.kernels.walk import walk


def scan(
    cell: Cell, x_TBI: Tensor, weights: Weights, dilation: int = 1, state: State | None = None
) -> tuple[Tensor, State]:
    """See `dispatch.scan`."""
    steps, batch = size(x_TBI.shape[0]), x_TBI.shape[1]
    first = state is None
    if state is None:
        state = (x_TBI.new_zeros(dilation, batch, cell.units(weights)),) * cell.states
    if symbolic(steps):
        if first and onnx_layers.has_operator(cell):
            return onnx_layers.layer(cell, x_TBI, weights, dilation), ()
        return walk(cell, x_TBI, weights, state)
    if isinstance(cell, Skip):
        return cell.in_blocks(x_TBI, weights, state[0])
    rounds, rest = divmod(steps, dilation)
    whole = rounds * dilation
    outputs = []
    if rounds:
        y, state = _chains(cell, x_TBI[:whole], weights, rounds, state)
        outputs.append(y)
    if rest:
        head = tuple(h[:rest] for h in state)
        y, last = _chains(cell, x_TBI[whole:], weights, 1, head)
        outputs.append(y)
        state = tuple(torch.cat([h[rest:], new]) for h, new in zip(state, last, strict=True))
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)), state


def _chains(
    cell: Cell, x_TBI: Tensor, weights: Weights, rounds: int, state: State
) -> tuple[Tensor, State]:
    """`rounds` steps of T/rounds chains side by side, with `rounds` a divisor of T."""
    steps, batch, inputs = int(x_TBI.shape[0]), *x_TBI.shape[1:]
    x_RNI = x_TBI.reshape(rounds, -1, inputs)
    hidden = tuple(h.reshape(-1, h.shape[-1]) for h in state)
    if cell.linear:
        decay, new = cell.coefficients(cell.project(x_RNI, weights), weights)
        y = linear_scan(decay, new, hidden[0])
        after: State = (y[-1],)
    else:
        y, after = cell.scan(x_RNI, weights, hidden)
    y_TBH = y.reshape(steps, batch, -1)
    return y_TBH, tuple(h.reshape(-1, batch, h.shape[-1]) for h in after)
