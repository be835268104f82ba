"""The scan on torch's own recurrent kernels, over the reshaped sequence.

A layer of dilation s is s interleaved chains that never meet (Chang et al. 2017, section 2.1).
Viewed as [T/s, s*B, I] they are one plain recurrence of T/s steps over a batch of s*B. Where s does
not divide T, the last T mod s steps are one more step of the first chains. Nothing is padded, so
the state after the last step is exact. Torch has no kernel for a min_gru, which is linear in its
state: each chain is a parallel scan.

Legend: T steps, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from drnn_bench.kernels.linear import linear_scan

# The number of state variables of each cell: h, and the LSTM's c.
STATES = {"rnn": 1, "gru": 1, "lstm": 2, "skip": 1, "min_gru": 1}
_GATES = {"rnn": 1, "gru": 3, "lstm": 4, "skip": 1, "min_gru": 2}

State = tuple[Tensor, ...]
Weights = tuple[Tensor, ...]


def gates(cell: str) -> int:
    """How many gates a unit of a cell has."""
    return _GATES[cell]


def scan(
    cell: str, x_TBI: Tensor, weights: Weights, dilation: int = 1, state: State | None = None
) -> tuple[Tensor, State]:
    """See `dispatch.scan`."""
    steps, batch = int(x_TBI.shape[0]), x_TBI.shape[1]
    width = weights[1].shape[1]
    if state is None:
        zeros = x_TBI.new_zeros(dilation, batch, width)
        state = (zeros,) * STATES[cell]
    if cell == "skip":
        return _skip(x_TBI, weights, state[0])
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
    cell: str, x_TBI: Tensor, weights: Weights, rounds: int, state: State
) -> tuple[Tensor, State]:
    """`rounds` steps of T/rounds chains side by side, with `rounds` a divisor of T."""
    steps, batch, inputs = int(x_TBI.shape[0]), *x_TBI.shape[1:]
    w_ih, w_hh, bias = weights
    if cell == "min_gru":
        z, new = linear(x_TBI.reshape(rounds, -1, inputs), w_ih, bias).chunk(2, 2)
        z = torch.sigmoid(z)
        y = linear_scan(1 - z, z * new, state[0].reshape(-1, w_hh.shape[1]))
        y = y.view(steps, batch, -1)
        return y, (y[steps - steps // rounds :],)
    # Torch's kernels take a second bias. It is no parameter of the layer, and always zero.
    params = [w_ih, w_hh, bias, torch.zeros_like(bias)]
    x = x_TBI.reshape(rounds, -1, inputs)
    hidden = [h.reshape(1, -1, w_hh.shape[1]).contiguous() for h in state]
    settings = (params, True, 1, 0.0, False, False, False)  # biases, 1 layer, no dropout, one-way
    if cell == "lstm":
        y, *last = torch.lstm(x, hidden, *settings)
    else:
        run = torch.rnn_tanh if cell == "rnn" else torch.gru
        y, *last = run(x, hidden[0], *settings)
    return y.reshape(steps, batch, -1), tuple(h.reshape(-1, batch, h.shape[-1]) for h in last)


def _skip(x_TBI: Tensor, weights: Weights, past_sBH: Tensor) -> tuple[Tensor, State]:
    """In blocks of s steps: within a block every h_{t-s} is known before it begins, so the block is
    a plain recurrence with h_{t-s} as further inputs."""
    w_ih, w_skip, bias, w_last = weights
    weights = torch.cat([w_ih, w_skip], 1), w_last, bias
    outputs = []
    for block in x_TBI.split(len(past_sBH)):
        x = torch.cat([block, past_sBH[: len(block)]], 2)
        y, _ = _chains("rnn", x, weights, len(block), (past_sBH[-1:],))
        past_sBH = torch.cat([past_sBH[len(y) :], y])
        outputs.append(y)
    return torch.cat(outputs), (past_sBH,)
