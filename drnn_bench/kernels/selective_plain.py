"""The recurrence of `selective` in operations that can be traced, transformed and differentiated
again, and the chunks in which it is computed.

Legend: T steps, L steps that are answered, Q steps of a chunk, B batch, N states, E channels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from drnn_bench.kernels.observed import size
from drnn_bench.kernels.walk import over_steps

CHUNK = 8  # steps at most


def plain(
    dt_TBE: Tensor, x_TBE: Tensor, b_TBN: Tensor, c_LBN: Tensor, rate_NE: Tensor, h_NBE: Tensor
) -> tuple[Tensor, Tensor]:
    """In operations that can be traced, transformed and differentiated again."""
    answers = []
    for steps, answered in chunks(dt_TBE, c_LBN):
        a_QNBE = torch.exp(dt_TBE[steps].unsqueeze(1) * rate_NE.unsqueeze(1))
        new_QBNE = b_TBN[steps].unsqueeze(3) @ (dt_TBE[steps] * x_TBE[steps]).unsqueeze(2)
        states = []
        for a_NBE, new_BNE in zip(a_QNBE.unbind(), new_QBNE.unbind(), strict=True):
            h_NBE = torch.addcmul(new_BNE.transpose(0, 1), a_NBE, h_NBE)
            states.append(h_NBE)
        if answered is not None:
            h_QBNE = torch.stack(states).transpose(1, 2)
            answers.append((c_LBN[answered].unsqueeze(2) @ h_QBNE).squeeze(2))
    return torch.cat(answers), h_NBE


def walked(
    dt_TBE: Tensor, x_TBE: Tensor, b_TBN: Tensor, c_TBN: Tensor, rate_NE: Tensor, first_NBE: Tensor
) -> tuple[Tensor, Tensor]:
    """Where the number of steps is a symbol."""

    def step(h_NBE: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        dt_BE, x_BE, b_NB1, c_NB1 = given
        a_NBE = torch.exp(dt_BE * rate_NE.unsqueeze(1))
        h_NBE = torch.addcmul(dt_BE * x_BE * b_NB1, a_NBE, h_NBE)
        return h_NBE, (c_NB1 * h_NBE).sum(0)

    b_TNB1, c_TNB1 = (t.transpose(1, 2).unsqueeze(3) for t in (b_TBN, c_TBN))
    last_NBE, y_TBE = over_steps(step, first_NBE.clone(), (dt_TBE, x_TBE, b_TNB1, c_TNB1))
    return y_TBE, last_NBE


def chunks(dt_TBE: Tensor, c_LBN: Tensor) -> list[tuple[slice, slice | None]]:
    """The steps of each chunk, and their places among the answers. The first chunks have none:
    what is answered begins a chunk of its own."""
    steps = size(dt_TBE.shape[0])
    early = steps - size(c_LBN.shape[0])
    starts = [*range(0, early, CHUNK), *range(early, steps, CHUNK)]
    chunks: list[tuple[slice, slice | None]] = []
    for start in starts:
        stop = min(start + CHUNK, early if start < early else steps)
        answered = slice(start - early, stop - early) if start >= early else None
        chunks.append((slice(start, stop), answered))
    return chunks
