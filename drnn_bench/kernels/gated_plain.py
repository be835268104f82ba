"""Gated linear attention (Yang et al. 2023, arXiv 2312.06635) in chunks, as products of matrices.

    S_t = diag(a_t) S_(t-1) + k_t v_t',   o_t = S_t' q_t

A step reads what an earlier one wrote through the product of the gates between them. For two steps
in the two halves of a block, that is the product of the gates on the left up to the middle, times
the product of those on the right from the middle. So a right half reads its left half as a product
of matrices, in blocks of 2, 4 and 8 steps; 8 are a chunk. Nothing is divided and no logarithms are
subtracted from one another, so gates near 0 lose nothing. States go from chunk to chunk.

Legend: T steps, L of them answered, the last ones, B batch, h heads, d numbers of a key, e of a
value, C chunks, Q steps of a chunk, m steps of half a block.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.kernels.observed import size, symbolic
from drnn_bench.kernels.walk import over_steps

CHUNK = 8  # steps at most, a power of 2


def plain(
    q_LBhd: Tensor, k_TBhd: Tensor, v_TBhe: Tensor, log_a_TBhd: Tensor, first_Bhde: Tensor
) -> tuple[Tensor, Tensor]:
    """`gated.gated_attention` in operations that can be traced, transformed and differentiated
    again, on any device."""
    early, state_Bhde = size(k_TBhd.shape[0]) - size(q_LBhd.shape[0]), first_Bhde
    if early:
        state_Bhde = written(k_TBhd[:early], v_TBhe[:early], log_a_TBhd[:early], state_Bhde)
    return attended(q_LBhd, k_TBhd[early:], v_TBhe[early:], log_a_TBhd[early:], state_Bhde)


def attended(
    q_TBhd: Tensor, k_TBhd: Tensor, v_TBhe: Tensor, log_a_TBhd: Tensor, first_Bhde: Tensor
) -> tuple[Tensor, Tensor]:
    """o [T, B, h, e], and the states after the last step [B, h, d, e]. `first`: those before the
    first step."""
    steps = size(q_TBhd.shape[0])
    chunks, length = (steps + CHUNK - 1) // CHUNK, CHUNK
    if symbolic(steps):  # of what could be a single chunk torch would trace that alone
        chunks += 1
    else:  # few steps take no more room than they need
        length = 1 << (-(-steps // chunks) - 1).bit_length()
    q, k, v, log_a = (
        _chunked(x, chunks, length) for x in (q_TBhd, k_TBhd, v_TBhe, log_a_TBhd)
    )  # fmt: skip
    o, since, until = _within(q, k, v, log_a.exp())
    added_CBhde = (k * until).transpose(3, 4) @ v
    kept_CBhd1 = since[:, :, :, -1].unsqueeze(4)
    before_CBhde, last_Bhde = _carried(added_CBhde, kept_CBhd1, first_Bhde)
    o_CBhQe = o + (q * since) @ before_CBhde
    return o_CBhQe.permute(0, 3, 1, 2, 4).flatten(0, 1)[:steps], last_Bhde


def written(k_TBhd: Tensor, v_TBhe: Tensor, log_a_TBhd: Tensor, first_Bhde: Tensor) -> Tensor:
    """The states alone after these steps, [B, h, d, e]."""
    after_TBhd = torch.cat([log_a_TBhd[1:], torch.zeros_like(log_a_TBhd[:1])])
    after_TBhd = after_TBhd.flip(0).cumsum(0).flip(0)  # log of the product of all later gates
    kept_Bhd1 = (after_TBhd[0] + log_a_TBhd[0]).exp().unsqueeze(3)
    k_TBhd = k_TBhd * after_TBhd.exp()
    return kept_Bhd1 * first_Bhde + k_TBhd.permute(1, 2, 3, 0) @ v_TBhe.permute(1, 2, 0, 3)


def _chunked(x_TBhd: Tensor, chunks: int, length: int) -> Tensor:
    """[C, B, h, Q, d]. Zeros fill the last chunk: there nothing is written, and gates are 1."""
    padded = F.pad(x_TBhd, (0, 0, 0, 0, 0, 0, 0, chunks * length - x_TBhd.shape[0]))
    return padded.unflatten(0, (chunks, length)).permute(0, 2, 3, 1, 4).contiguous()


def _within(
    q_CBhQd: Tensor, k_CBhQd: Tensor, v_CBhQe: Tensor, a_CBhQd: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What the steps of a chunk read from the same chunk, [C, B, h, Q, e]; the products of the
    gates since the chunk's first step, and until its last one without a step's own."""
    o = (q_CBhQd * k_CBhQd).sum(4, keepdim=True) * v_CBhQe
    since, until, m = a_CBhQd, torch.ones_like(a_CBhQd), 1
    while m < q_CBhQd.shape[3]:  # `since` and `until` are of blocks of m steps so far
        (_, q), (k, _), (v, _) = (_halves(x, m) for x in (q_CBhQd, k_CBhQd, v_CBhQe))
        (o1, o2), (since1, since2), (until1, until2) = (_halves(x, m) for x in (o, since, until))
        read = ((q * since2) @ (k * until1).transpose(4, 5)) @ v
        o = _joined(o1, o2 + read)
        since, until = (
            _joined(since1, since2 * since1[..., -1:, :]),
            _joined(until1 * since2[..., -1:, :], until2),
        )
        m *= 2
    return o, since, until


def _halves(x_CBhQd: Tensor, m: int) -> tuple[Tensor, ...]:
    """The left and the right halves of blocks of 2 m steps, each [C, B, h, Q / 2m, m, d]."""
    return x_CBhQd.unflatten(3, (-1, 2, m)).unbind(4)


def _joined(left: Tensor, right: Tensor) -> Tensor:
    """The blocks whose halves these are, [C, B, h, Q, d]."""
    return torch.stack([left, right], 4).flatten(3, 5)


def _carried(added_CBhde: Tensor, kept_CBhd1: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """The states before each chunk, [C, B, h, d, e], and those after the last one."""

    def step(before: Tensor, of_chunk: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        added, kept = of_chunk
        return torch.addcmul(added, kept, before), before.clone()

    if symbolic(added_CBhde.shape[0]):
        last, before = over_steps(step, first.clone(), (added_CBhde, kept_CBhd1))
        return before, last
    befores = [first]
    for added, kept in zip(added_CBhde.unbind(), kept_CBhd1.unbind(), strict=True):
        befores.append(torch.addcmul(added, kept, befores[-1]))
    return torch.stack(befores[:-1]), befores[-1]
