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

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from drnn_bench.kernels.checks import one_gradient, plain_gradients
from drnn_bench.kernels.dispatch import SHORT, allows_fused
from drnn_bench.kernels.observed import observed, symbolic
from drnn_bench.kernels.selective_plain import CHUNK, chunks, plain, walked
from drnn_bench.kernels.settings import SELECTIVE, note_use, wanted

SHARE = 0.4  # of the columns of all blocks, which hold sequences: with fewer torch is faster


def selective_scan(
    dt_TBE: Tensor, x_TBE: Tensor, b_TBN: Tensor, c_LBN: Tensor, rate_NE: Tensor, first_NBE: Tensor
) -> tuple[Tensor, Tensor]:
    """The answers y [L, B, E] of the last L steps, and the states after the last step [N, B, E].

    rate:   below 0
    first:  the states before the first step
    Gradients can be differentiated again. A number of steps that is a symbol must be L.
    """
    given = (dt_TBE, x_TBE, b_TBN, c_LBN, rate_NE, first_NBE)
    if symbolic(dt_TBE.shape[0]):
        return walked(*given)
    if observed(given):
        return plain(*given)
    if _fused(given):
        from drnn_bench.kernels.fused import ready
        from drnn_bench.kernels.fused_selective import FusedScan

        ready("layout")
        ready(SELECTIVE)
        note_use("fused")
        return FusedScan.apply(*given)
    return _SelectiveScan.apply(*given)


def _fused(given: Sequence[Tensor]) -> bool:
    """Whether the fused kernel runs, which computes blocks of sequences."""
    steps, batch, _ = given[0].shape
    if not given[0].numel() or not allows_fused(given):
        return False
    from drnn_bench.kernels.registers import COLUMNS

    filled = batch / (-(-batch // COLUMNS) * COLUMNS)
    return wanted() == "fused" or (filled >= SHARE and steps >= SHORT)


class _SelectiveScan(torch.autograd.Function):
    """With dy the gradient of the answers, the gradient of the states runs backwards in time:
    dh_t = c_t dy_t + a_(t+1) dh_(t+1), where a_t = exp(dt_t * rate).

    All chunks use the same buffers: to allocate them anew takes as long as to compute. Batch and
    channels lie side by side, so that most operations run over long rows.
    """

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> tuple[Tensor, Tensor]:
        dt_TBE, x_TBE, b_TBN, c_LBN, rate_NE, h_NBE = given
        y_LBE, befores = dt_TBE.new_empty(len(c_LBN), *dt_TBE.shape[1:]), []
        rate_NBE, buffers = _expanded(rate_NE, dt_TBE), _buffers(2, dt_TBE, rate_NE)
        for steps, answered in chunks(dt_TBE, c_LBN):
            befores.append(h_NBE)
            a_QNBE, h_QNBE = (buffer[: steps.stop - steps.start] for buffer in buffers)
            added_QBE = dt_TBE[steps] * x_TBE[steps]
            _states(a_QNBE, h_QNBE, dt_TBE[steps], added_QBE, b_TBN[steps], rate_NBE, h_NBE)
            h_NBE = h_QNBE[-1].clone()
            if answered is not None:
                torch.mul(h_QNBE, _columns(c_LBN[answered]), out=a_QNBE)
                torch.sum(a_QNBE, 1, out=y_LBE[answered])
        ctx.save_for_backward(*given, *befores)
        return y_LBE, h_NBE

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        given, befores = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
        if not one_gradient(grads):
            return plain_gradients(plain, given, grads)
        dt_TBE, x_TBE, b_TBN, c_LBN, rate_NE, _ = given
        dy_LBE, dh_NBE = grads
        by_dt, by_x, by_b, by_c = (torch.empty_like(t) for t in (dt_TBE, x_TBE, b_TBN, c_LBN))
        rate_NBE, buffers = _expanded(rate_NE, dt_TBE), _buffers(4, dt_TBE, rate_NE)
        by_rate_NBE = torch.zeros_like(rate_NBE)
        for (steps, answered), h_NBE in zip(
            reversed(chunks(dt_TBE, c_LBN)), reversed(befores), strict=True
        ):
            a, h, dh, product = (buffer[: steps.stop - steps.start] for buffer in buffers)
            dt_QBE, x_QBE, b_QBN = dt_TBE[steps], x_TBE[steps], b_TBN[steps]
            added_QBE = dt_QBE * x_QBE
            _states(a, h, dt_QBE, added_QBE, b_QBN, rate_NBE, h_NBE)
            if answered is None:
                dh.zero_()
            else:
                dy_Q1BE = dy_LBE[answered].unsqueeze(1)
                torch.mul(h, dy_Q1BE, out=product)
                torch.sum(product, 3, out=by_c[answered].transpose(1, 2))
                torch.mul(_columns(c_LBN[answered]), dy_Q1BE, out=dh)
            dh[-1] += dh_NBE
            for t in range(len(a) - 1, 0, -1):
                dh[t - 1].addcmul_(a[t], dh[t])
            dh_NBE = a[0] * dh[0]
            # A step adds dt x b to a h: of both the gradient is dh.
            torch.mul(dh, added_QBE.unsqueeze(1), out=product)
            torch.sum(product, 3, out=by_b[steps].transpose(1, 2))
            by_added_QBE = torch.mul(dh, _columns(b_QBN), out=product).sum(1)
            torch.mul(by_added_QBE, dt_QBE, out=by_x[steps])
            dh *= a  # of a = exp(dt rate), the gradient by dt rate is a times that by a
            dh[1:] *= h[:-1]
            dh[0] *= h_NBE
            by_rate_NBE += torch.mul(dh, dt_QBE.unsqueeze(1), out=product).sum(0)
            torch.sum(dh.mul_(rate_NBE), 1, out=by_dt[steps]).addcmul_(by_added_QBE, x_QBE)
        return by_dt, by_x, by_b, by_c, by_rate_NBE.sum(1), dh_NBE


def _buffers(count: int, dt_TBE: Tensor, rate_NE: Tensor) -> tuple[Tensor, ...]:
    """So many tensors [Q, N, B, E]."""
    steps, *rest = dt_TBE.shape
    return dt_TBE.new_empty(count, min(CHUNK, steps), len(rate_NE), *rest).unbind()


def _expanded(rate_NE: Tensor, dt_TBE: Tensor) -> Tensor:
    """The rates [N, B, E], the same for all sequences."""
    return rate_NE.unsqueeze(1).expand(-1, dt_TBE.shape[1], -1).contiguous()


def _columns(b_QBN: Tensor) -> Tensor:
    """[Q, N, B, 1]"""
    return b_QBN.transpose(1, 2).unsqueeze(3)


def _states(
    a_QNBE: Tensor,
    h_QNBE: Tensor,
    dt_QBE: Tensor,
    added_QBE: Tensor,
    b_QBN: Tensor,
    rate_NBE: Tensor,
    before_NBE: Tensor,
) -> None:
    """Fills a with what each step of a chunk keeps of the states, h with the states after it.
    `added`: dt x, which a step adds times b; `before`: the states before the chunk."""
    torch.mul(dt_QBE.unsqueeze(1), rate_NBE, out=a_QNBE).exp_()
    torch.mul(added_QBE.unsqueeze(1), _columns(b_QBN), out=h_QNBE)
    for a_NBE, h_NBE in zip(a_QNBE.unbind(), h_QNBE.unbind(), strict=True):
        before_NBE = h_NBE.addcmul_(a_NBE, before_NBE)
