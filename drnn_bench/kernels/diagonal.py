"""Diagonal linear recurrences with complex states over blocks of sequences
(`convolution.in_blocks`).

Legend: K blocks of L sequences, T steps, F of them before the first output, H channels, N states,
2 real and imaginary parts, S = 2N, M = H + 1 columns: W, then b, P = 2H.
"""

from __future__ import annotations

from torch import Tensor

from drnn_bench.kernels.settings import DIAGONAL


def s4d_layer(
    u_KTHL: Tensor, a_HN2: Tensor, w_HN2: Tensor, d_H: Tensor, mix_HM: Tensor, first: int = 0
) -> Tensor:
    """u_t + W gelu(y_t) + b of the steps from `first` on, [K, T - F, H, L], where y_t = d u_t + the
    sum over N states of Re(w s_t), with s_t = a s_(t-1) + u_t from zeros."""
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_s4d import S4DLayer

    ready(DIAGONAL)
    return S4DLayer.apply(*(t.contiguous() for t in (u_KTHL, a_HN2, w_HN2, d_H, mix_HM)), first)


def lru_layer(
    u_KTHL: Tensor,
    a_N2: Tensor,
    b_SH: Tensor,
    c_HS: Tensor,
    d_H: Tensor,
    mix_PM: Tensor,
    first: int = 0,
) -> Tensor:
    """u_t + GLU(W gelu(y_t) + b) of the steps from `first` on, [K, T - F, H, L], where
    y_t = C x_t + d v_t and x_t = a x_(t-1) + B v_t from zeros, of the normalised inputs v_t."""
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_lru import LRULayer

    ready(DIAGONAL)
    weights = (t.contiguous() for t in (a_N2, b_SH, c_HS, d_H, mix_PM))
    return LRULayer.apply(u_KTHL.contiguous(), *weights, first)
