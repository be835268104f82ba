"""The scan as a loop over the steps in plain torch, written from the equations: the oracle.

Legend: T steps, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

State = tuple[Tensor, ...]


def scan(
    cell: str, x_TBI: Tensor, weights: tuple, dilation: int = 1, state: State | None = None
) -> tuple[Tensor, State]:
    """See `dispatch.scan`."""
    w_ih, w_hh, bias, *w_last = weights
    if state is None:
        zeros = x_TBI.new_zeros(dilation, x_TBI.shape[1], w_hh.shape[1])
        state = (zeros, zeros) if cell == "lstm" else (zeros,)
    past = [tuple(row) for row in zip(*(variable.unbind() for variable in state), strict=True)]
    for t, x_BI in enumerate(x_TBI):
        h, *c = past[t]
        from_x, from_h = linear(x_BI, w_ih, bias), linear(h, w_hh)
        if cell == "gru":
            x_r, x_z, x_n = from_x.chunk(3, 1)
            h_r, h_z, h_n = from_h.chunk(3, 1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            past.append(((1 - z) * torch.tanh(x_n + r * h_n) + z * h,))
        elif cell == "lstm":
            i, f, g, o = (from_x + from_h).chunk(4, 1)
            new = torch.sigmoid(f) * c[0] + torch.sigmoid(i) * torch.tanh(g)
            past.append((torch.sigmoid(o) * torch.tanh(new), new))
        elif cell == "min_gru":
            z, new = from_x.chunk(2, 1)
            z = torch.sigmoid(z)
            past.append(((1 - z) * h + z * new,))
        else:
            if cell == "skip":
                from_h = from_h + linear(past[-1][0], *w_last)
            past.append((torch.tanh(from_x + from_h),))
    y_TBH = torch.stack([entry[0] for entry in past[dilation:]])
    return y_TBH, tuple(torch.stack(rows) for rows in zip(*past[len(x_TBI) :], strict=True))
