"""Causal attention, over all steps so far or over a window, in one pass or step by step.

Legend: B batch, h heads, d numbers of a head, E = h * d, T steps, L queries, S keys, N steps of a
window, C blocks of N steps, M their 2N keys.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from drnn_bench.kernels.observed import observed, symbolic
from drnn_bench.kernels.settings import wanted
from drnn_bench.models.streaming import Ring

Pair = tuple[Tensor, Tensor]  # keys and values


# What a stream carries from step to step: how many steps it has seen, and their keys and values.
# With a window they are a ring of its N steps [N, B, h, d], at first of zeros that no query reads;
# without one they are those of all steps, [B, h, S, d].
Cache = tuple[int, Any]  # Any: Ring or Pair


def turns(
    start: int | Tensor, steps: int, heads: int, head_size: int, like: Tensor
) -> tuple[Tensor, Tensor]:
    """What turns the numbers i and i + d/2 of each head by t * 10000^(-2i/d), for the steps t from
    `start` on (Su et al. 2021, equation 15): cosines [T, E] and signed sines [T, E]. The angles are
    exact at any step: they are in float64 until whole turns are taken off. Cosines are of the dtype
    of `like`: onnxruntime < 1.28 has none of float64."""
    half = head_size // 2
    place = torch.arange(half, dtype=torch.float64, device=like.device)
    step = start + torch.arange(steps, dtype=torch.float64, device=like.device)
    angle_Td = (step.unsqueeze(1) * 10000 ** (-place / half)).remainder(2 * math.pi)
    angle_Td = angle_Td.to(like.dtype)
    cos_Td, sin_Td = angle_Td.cos(), angle_Td.sin()
    return cos_Td.repeat(1, 2 * heads), torch.cat([-sin_Td, sin_Td], 1).repeat(1, heads)


def turned(x_BTE: Tensor, cos_TE: Tensor, sin_TE: Tensor, heads: int) -> Tensor:
    """Over whole rows: sums over the halves of each head would take twice as long."""
    swapped_BTE = x_BTE.unflatten(2, (heads, 2, -1)).flip(3).flatten(2)
    return torch.addcmul(x_BTE * cos_TE, swapped_BTE, sin_TE)


def attend(q_BhLd: Tensor, k_BhSd: Tensor, v_BhSd: Tensor, window: int | None) -> Tensor:
    """[B, h, L, d]: what the queries of the last L of S steps read, each from its own step and the
    steps before it, with a window from N steps."""
    queries, steps = q_BhLd.shape[2], k_BhSd.shape[2]
    if queries == steps:
        if window is None:
            return _products(q_BhLd, k_BhSd, v_BhSd, causal=True)
        block = window if symbolic(steps) else min(window, steps)
        return _in_blocks(q_BhLd, k_BhSd, v_BhSd, block)
    if window is not None:
        steps = min(steps, queries + window - 1)
        k_BhSd, v_BhSd = k_BhSd[:, :, -steps:], v_BhSd[:, :, -steps:]
    if queries == 1:
        return _products(q_BhLd, k_BhSd, v_BhSd)
    step_S = torch.arange(steps, device=q_BhLd.device)
    back_LS = step_S[-queries:].unsqueeze(1) - step_S
    mask_LS = back_LS >= 0
    if window is not None:
        mask_LS &= back_LS < window
    return _products(q_BhLd, k_BhSd, v_BhSd, mask_LS)


def continued(
    q_BhTd: Tensor, new: Pair, window: int | None, before: Cache | None
) -> tuple[Tensor, Cache]:
    """[B, h, T, d]: what the queries of the next T steps read, and the cache after them. `new`: the
    keys and values of these steps. A single step without gradients overwrites the ring in place."""
    steps = q_BhTd.shape[2]
    past, held = before or (0, None)
    seen = past + steps
    if window is None:
        if held is not None:
            new = _joined(held, new)
        return attend(q_BhTd, *new, None), (seen, new)
    if steps == 1 and not torch.is_grad_enabled():
        ring = _empty(new, window) if held is None else held
        ring.push(tuple(part.permute(2, 0, 1, 3) for part in new))
        k_BhNd, v_BhNd = (row.permute(1, 2, 0, 3) for row in ring.rows)
        age_N = (ring.at - 1 - torch.arange(window, device=q_BhTd.device)) % window
        return _products(q_BhTd, k_BhNd, v_BhNd, (age_N < seen).unsqueeze(0)), (seen, ring)
    if held is not None:
        real = min(past, window)
        rows = held.ordered()
        new = _joined(tuple(row[-real:].permute(1, 2, 0, 3) for row in rows), new)
    k_NBhd, v_NBhd = (
        F.pad(part[:, :, -window:], (0, 0, max(0, window - part.shape[2]), 0)).permute(2, 0, 1, 3)
        for part in new
    )
    return attend(q_BhTd, *new, window), (seen, Ring((k_NBhd, v_NBhd)))


def continued_plainly(
    q_Bh1d: Tensor, new: Pair, window: int | None, seen: Tensor, held: Pair
) -> tuple[Tensor, Pair]:
    """`continued` of one step as a function of tensors: [B, h, 1, d], and the keys and values after
    it. With a window they are [N, B, h, d], oldest first, and `seen` [1] counts the steps before;
    without one they are [B, h, S, d]."""
    if window is None:
        after = _joined(held, new)
        return _products(q_Bh1d, *after), after
    rows = tuple(
        torch.cat([old[1:], part.permute(2, 0, 1, 3)]) for old, part in zip(held, new, strict=True)
    )
    k_BhNd, v_BhNd = (row.permute(1, 2, 0, 3) for row in rows)
    age_N = window - 1 - torch.arange(window, device=seen.device)
    return _products(q_Bh1d, k_BhNd, v_BhNd, (age_N <= seen).unsqueeze(0)), (rows[0], rows[1])


def _joined(old: Pair, new: Pair) -> Pair:
    return torch.cat([old[0], new[0]], 2), torch.cat([old[1], new[1]], 2)


def _empty(new: Pair, window: int) -> Ring:
    batch, heads, _, size = new[0].shape
    return Ring((new[0].new_zeros(window, batch, heads, size),) * 2)


def _in_blocks(q_BhTd: Tensor, k_BhTd: Tensor, v_BhTd: Tensor, window: int) -> Tensor:
    """Windowed attention of all steps, its work linear in T: the queries of a block of N steps read
    from their own block and the one before. Zeros fill the last block, which nothing reads, and
    stand before the first one, where the mask leaves them out."""
    steps = q_BhTd.shape[2]
    blocks = -(-steps // window)
    if symbolic(steps):  # of what could be a single block torch would trace that alone
        blocks += 1
    rest = blocks * window - steps
    q_BhCNd = F.pad(q_BhTd, (0, 0, 0, rest)).unflatten(2, (blocks, window))
    pairs = []
    for part in (k_BhTd, v_BhTd):
        part_BhCNd = F.pad(part, (0, 0, window, rest)).unflatten(2, (blocks + 1, window))
        part_BhCMd = torch.cat([part_BhCNd[:, :, :-1], part_BhCNd[:, :, 1:]], 3)
        pairs.append(part_BhCMd.flatten(0, 1))
    k_XCMd, v_XCMd = pairs
    step_M = torch.arange(2 * window, device=q_BhTd.device)
    back_NM = step_M[window:].unsqueeze(1) - step_M
    real_C1M = (step_M >= window) | (torch.arange(blocks, device=q_BhTd.device)[:, None, None] > 0)
    mask_CNM = (back_NM >= 0) & (back_NM < window) & real_C1M
    y_XCNd = _products(q_BhCNd.flatten(0, 1), k_XCMd, v_XCMd, mask_CNM.unsqueeze(0))
    return y_XCNd.view_as(q_BhCNd).flatten(2, 3)[:, :, :steps]


def _products(
    q_BhLd: Tensor,
    k_BhSd: Tensor,
    v_BhSd: Tensor,
    mask_LS: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    """softmax(q k' / sqrt(d)) v. The mask is True where a query reads; `causal`: at its own step
    and before. Torch's fused kernel computes it. It has no second derivatives and no transforms:
    calls that are observed, in float64, or for which plain kernels are asked are made of products.
    """
    plain = q_BhLd.dtype == torch.float64 or wanted() in ("torch", "reference")
    plain = plain or k_BhSd.shape[2] == 1  # the gradient of q is then exactly zero
    if not (plain or observed((q_BhLd, k_BhSd, v_BhSd))):
        return F.scaled_dot_product_attention(
            q_BhLd, k_BhSd, v_BhSd, attn_mask=mask_LS, is_causal=causal
        )
    weight_BhLS = q_BhLd * q_BhLd.shape[3] ** -0.5 @ k_BhSd.transpose(2, 3)
    if causal:
        mask_LS = torch.ones_like(weight_BhLS[0, 0], dtype=torch.bool).tril()
    if mask_LS is not None:
        weight_BhLS = weight_BhLS.masked_fill(~mask_LS, -math.inf)
    return weight_BhLS.softmax(3) @ v_BhSd
