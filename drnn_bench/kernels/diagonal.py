"""Layers over blocks of sequences (`convolution.in_blocks`) beside convolutions: diagonal linear
recurrences with complex states, and products at every step.

Legend: K blocks of L sequences, T steps, F of them before the first output, I inputs, H channels,
N states, 2 real and imaginary parts, M = H + 1 columns: W, then b.
"""

from __future__ import annotations

from torch import Tensor

from drnn_bench.kernels.convolution import causal_conv
from drnn_bench.kernels.settings import DIAGONAL


def pointwise(x_KTIL: Tensor, weight_HI: Tensor, bias_H: Tensor | None = None) -> Tensor:
    """W x + b of every step, [K, T, H, L]."""
    return causal_conv(x_KTIL, weight_HI.unsqueeze(2), 1, bias_H)


def s4d_layer(
    u_KTHL: Tensor, a_HN2: Tensor, w_HN2: Tensor, d_H: Tensor, mix_HM: Tensor, first: int = 0
) -> Tensor:
    """u_t + W gelu(y_t) + b of the steps from `first` on, [K, T - F, H, L], where y_t = d u_t + the
    sum over N states of Re(w s_t), with s_t = a s_(t-1) + u_t from zeros."""
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_s4d import S4DLayer

    ready(DIAGONAL)
    return S4DLayer.apply(*(t.contiguous() for t in (u_KTHL, a_HN2, w_HN2, d_H, mix_HM)), first)


def lru_scan(r_KTN2L: Tensor, a_N2: Tensor) -> Tensor:
    """The states x_t = a x_(t-1) + r_t from zeros, [K, T, N, 2, L]."""
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_lru import LRUScan

    ready(DIAGONAL)
    return LRUScan.apply(r_KTN2L.contiguous(), a_N2.contiguous())
