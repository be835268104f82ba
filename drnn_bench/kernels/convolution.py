"""Causal convolutions on the fused kernel: a stack of them over blocks of sequences.

    h_NTIL = in_blocks(x_BTI, weights)      None where torch's products are faster or needed
    h_NTCL = convolve(h_NTIL, weight_CIk, dilation, bias_C, stride, relu)
    y_BTC = out_of_blocks(h_NTCL, batch)

In a block the batch lies innermost, so that vectors are full at any number of channels. A stack
stays in blocks from its first layer to its last.

Legend: B batch, N blocks of L sequences, T steps, I inputs, C channels, k taps, the oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drnn_bench.kernels.dispatch import fused_runs
from drnn_bench.kernels.observed import observed
from drnn_bench.kernels.settings import note_use, wanted

CONVOLUTION = "convolution"  # the kernel's name among those that are compiled
SHARE = 0.75  # of the columns of all blocks, which hold sequences: with fewer torch's are faster


def in_blocks(x_BTI: Tensor, weights: Sequence[Tensor]) -> Tensor | None:
    """[N, T, I, L]; None where the fused kernel cannot run, or torch's is faster or asked for."""
    name = wanted()
    if name in ("reference", "torch") or x_BTI.device.type != "cpu":
        return None
    if any(t.dtype != torch.float32 for t in (x_BTI, *weights)) or observed([x_BTI, *weights]):
        return None
    if not x_BTI.numel() or not fused_runs():
        return None
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_conv import Enter
    from drnn_bench.kernels.registers import COLUMNS

    batch, blocks = len(x_BTI), -(-len(x_BTI) // COLUMNS)
    if name == "auto" and batch < SHARE * blocks * COLUMNS:
        return None
    ready("layout")
    ready(CONVOLUTION)
    note_use("fused")
    return Enter.apply(x_BTI)


def out_of_blocks(h_NTCL: Tensor, batch: int) -> Tensor:
    """[B, T, C]"""
    from drnn_bench.kernels.fused_conv import Leave

    return Leave.apply(h_NTCL, batch)


def convolve(
    h_NTIL: Tensor, weight_CIk: Tensor, dilation: int, bias_C: Tensor | None, stride: int,
    relu: bool,
) -> Tensor:  # fmt: skip
    """See `models.convolution.causal_conv`, of blocks: [N, S, C, L]."""
    from drnn_bench.kernels.fused_conv import Convolution

    bias_C = weight_CIk.new_zeros(len(weight_CIk)) if bias_C is None else bias_C.contiguous()
    weight_kCI = weight_CIk.permute(2, 0, 1).flip(0).contiguous()
    return Convolution.apply(h_NTIL.contiguous(), weight_kCI, bias_C, dilation, stride, relu)
