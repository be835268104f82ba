"""The recurrence of a selective state space (Gu and Dao 2023, arXiv 2312.00752, algorithm 2):

    h_t = exp(dt_t * rate) * h_(t-1) + dt_t * x_t * b_t,   y_t = sum over the states of c_t * h_t

with N states for each of E channels. A state decays by its channel's dt and by its own rate.

Steps are computed in chunks. The numbers of all steps and states would be 2N times as many as the
inputs; of a chunk they fit into the processor's cache. Only the states before each chunk are kept,
and the backward pass computes a chunk again. Within a chunk the steps follow one another: a scan of
log2 rounds (kernels/linear.py) would pass over the states several times.

Legend: T steps, L steps that are answered, Q steps of a chunk, B batch, N states, E channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from drnn_bench.kernels.observed import observed, size, symbolic
from drnn_bench.kernels.walk import over_steps

CHUNK = 8  # steps at most


def selective_scan(
    dt_TBE: Tensor, x_TBE: Tensor, b_TBN: Tensor, c_LBN: Tensor, rate_NE: Tensor, first_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """The answers y [L, B, E] of the last L steps, and the states after the last step [B, N, E].

    rate:   below 0
    first:  the states before the first step
    Gradients can be differentiated again. A number of steps that is a symbol must be L.
    """
    given = (dt_TBE, x_TBE, b_TBN, c_LBN, rate_NE, first_BNE)
    if symbolic(dt_TBE.shape[0]):
        return _walked(*given)
    if observed(given):
        return _plain(*given)
    return _SelectiveScan.apply(*given)


def _plain(
    dt_TBE: Tensor, x_TBE: Tensor, b_TBN: Tensor, c_LBN: Tensor, rate_NE: Tensor, h_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """In operations that can be traced, transformed and differentiated again."""
    answers = []
    for steps, answered in _chunks(dt_TBE, c_LBN):
        a_QBNE = torch.exp(dt_TBE[steps].unsqueeze(2) * rate_NE)
        new_QBNE = b_TBN[steps].unsqueeze(3) @ (dt_TBE[steps] * x_TBE[steps]).unsqueeze(2)
        states = []
        for a_BNE, new_BNE in zip(a_QBNE.unbind(), new_QBNE.unbind(), strict=True):
            h_BNE = torch.addcmul(new_BNE, a_BNE, h_BNE)
            states.append(h_BNE)
        if answered is not None:
            answers.append((c_LBN[answered].unsqueeze(2) @ torch.stack(states)).squeeze(2))
    return torch.cat(answers), h_BNE


def _walked(
    dt_TBE: Tensor, x_TBE: Tensor, b_TBN: Tensor, c_TBN: Tensor, rate_NE: Tensor, first_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """Where the number of steps is a symbol."""

    def step(h_BNE: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        dt_BE, x_BE, b_BN, c_BN = given
        new_BNE = b_BN.unsqueeze(2) * (dt_BE * x_BE).unsqueeze(1)
        h_BNE = torch.addcmul(new_BNE, torch.exp(dt_BE.unsqueeze(1) * rate_NE), h_BNE)
        return h_BNE, (c_BN.unsqueeze(1) @ h_BNE).squeeze(1)

    last_BNE, y_TBE = over_steps(step, first_BNE.clone(), (dt_TBE, x_TBE, b_TBN, c_TBN))
    return y_TBE, last_BNE


class _SelectiveScan(torch.autograd.Function):
    """With dy the gradient of the answers, the gradient of the states runs backwards in time:
    dh_t = c_t dy_t + a_(t+1) dh_(t+1), where a_t = exp(dt_t * rate)."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> tuple[Tensor, Tensor]:
        dt_TBE, x_TBE, b_TBN, c_LBN, rate_NE, h_BNE = given
        y_LBE, befores = dt_TBE.new_empty(len(c_LBN), *dt_TBE.shape[1:]), []
        for steps, answered in _chunks(dt_TBE, c_LBN):
            befores.append(h_BNE)
            a_QBNE, h_QBNE = _states(dt_TBE[steps], x_TBE[steps], b_TBN[steps], rate_NE, h_BNE)
            h_BNE = h_QBNE[-1].clone()  # the others are not kept
            if answered is not None:
                torch.mul(h_QBNE, c_LBN[answered].unsqueeze(3), out=a_QBNE)
                torch.sum(a_QBNE, 2, out=y_LBE[answered])
        ctx.save_for_backward(*given, *befores)
        return y_LBE, h_BNE

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        given, befores = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        if torch.is_grad_enabled():  # to be differentiated again
            return _plain_gradients(given, grads)
        dt_TBE, x_TBE, b_TBN, c_LBN, rate_NE, _ = given
        dy_LBE, dh_BNE = grads
        by_dt, by_x, by_b, by_c = (torch.empty_like(t) for t in (dt_TBE, x_TBE, b_TBN, c_LBN))
        by_rate_NE = torch.zeros_like(rate_NE)
        for (steps, answered), h_BNE in zip(
            reversed(_chunks(dt_TBE, c_LBN)), reversed(befores), strict=True
        ):
            dt_QBE, x_QBE, b_QBN = dt_TBE[steps], x_TBE[steps], b_TBN[steps]
            a_QBNE, h_QBNE = _states(dt_QBE, x_QBE, b_QBN, rate_NE, h_BNE)
            if answered is None:
                dh_QBNE = torch.zeros_like(h_QBNE)
            else:
                dy_QB1E = dy_LBE[answered].unsqueeze(2)
                torch.sum(h_QBNE * dy_QB1E, 3, out=by_c[answered])
                dh_QBNE = c_LBN[answered].unsqueeze(3) * dy_QB1E
            dh_QBNE[-1] += dh_BNE
            for t in range(len(a_QBNE) - 1, 0, -1):
                dh_QBNE[t - 1].addcmul_(a_QBNE[t], dh_QBNE[t])
            dh_BNE = a_QBNE[0] * dh_QBNE[0]
            # What a step adds is dt x b, what it keeps a h: of both the gradient is dh.
            torch.sum(dh_QBNE * (dt_QBE * x_QBE).unsqueeze(2), 3, out=by_b[steps])
            by_added_QBE = (dh_QBNE * b_QBN.unsqueeze(3)).sum(2)
            by_x[steps] = by_added_QBE * dt_QBE
            a_QBNE[1:] *= h_QBNE[:-1]
            a_QBNE[0] *= h_BNE
            by_log_QBNE = a_QBNE.mul_(dh_QBNE)
            by_rate_NE += (by_log_QBNE * dt_QBE.unsqueeze(2)).sum((0, 1))
            by_dt[steps] = by_log_QBNE.mul_(rate_NE).sum(2).addcmul_(by_added_QBE, x_QBE)
        return by_dt, by_x, by_b, by_c, by_rate_NE, dh_BNE


def _chunks(dt_TBE: Tensor, c_LBN: Tensor) -> list[tuple[slice, slice | None]]:
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


def _states(
    dt_QBE: Tensor, x_QBE: Tensor, b_QBN: Tensor, rate_NE: Tensor, before_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """What each step of a chunk keeps of the states, and the states after it: [Q, B, N, E] both."""
    a_QBNE = torch.mul(dt_QBE.unsqueeze(2), rate_NE).exp_()
    h_QBNE = (dt_QBE * x_QBE).unsqueeze(2) * b_QBN.unsqueeze(3)
    for a_BNE, h_BNE in zip(a_QBNE.unbind(), h_QBNE.unbind(), strict=True):
        before_BNE = h_BNE.addcmul_(a_BNE, before_BNE)
    return a_QBNE, h_QBNE


def _plain_gradients(
    given: tuple[Tensor, ...], grads: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    """The gradients of `_plain`, which can be differentiated again."""
    trained = [tensor for tensor in given if tensor.requires_grad]
    found = iter(torch.autograd.grad(_plain(*given), trained, grads, create_graph=True))
    return tuple(next(found) if tensor.requires_grad else None for tensor in given)
