"""Causal convolutions: by torch's products, or on the fused kernel over blocks of sequences.

    h_NTIL = in_blocks(x_BTI, weights)      None where torch's products are faster or needed
    h_NSCL = conv_at(h_NTIL, weight_CIk, taps, bias_C, relu)    the outputs at steps S of T
    y_BTC = out_of_blocks(h_NTCL, batch)

In a block the batch lies innermost, so that vectors are full at any number of channels. A stack
stays in blocks from its first layer to its last. The products take steps as [I, T, B].

Legend: B batch, N blocks of L sequences, T steps, S of them computed, I inputs, C channels, k taps,
the oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from drnn_bench.kernels import torch_conv
from drnn_bench.kernels.dispatch import allows_fused
from drnn_bench.kernels.settings import CONVOLUTION, note_use, wanted
from drnn_bench.kernels.taps import Taps, every_step

# Of the columns of all blocks, which hold sequences: with fewer torch's are faster, also where
# diagonal recurrences (`diagonal`) stand beside the convolutions.
SHARE = 0.75


def in_blocks(x_BTI: Tensor, weights: Sequence[Tensor], least: int = 1) -> Tensor | None:
    """[N, T, I, L]; None where the fused kernels cannot run, or torch's are faster or asked for.

    least: steps below which torch's are faster
    """
    if not x_BTI.numel() or not allows_fused([x_BTI, *weights]):
        return None
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_conv import Enter
    from drnn_bench.kernels.registers import COLUMNS

    batch, blocks = len(x_BTI), -(-len(x_BTI) // COLUMNS)
    if wanted() == "auto" and (batch < SHARE * blocks * COLUMNS or x_BTI.shape[1] < least):
        return None
    ready("layout")
    ready(CONVOLUTION)
    note_use("fused")
    return Enter.apply(x_BTI)


def out_of_blocks(h_NTCL: Tensor, batch: int) -> Tensor:
    """[B, T, C]"""
    from drnn_bench.kernels.fused_conv import Leave

    return Leave.apply(h_NTCL, batch)


def causal_conv(
    x_ITB: Tensor,
    weight_CIk: Tensor,
    dilation: int,
    bias_C: Tensor | None = None,
    stride: int = 1,
    relu: bool = False,
) -> Tensor:
    """y_t = b + sum_j W[:, :, k-1-j] x_{t-j*d}, [C, T, B], or its ReLU: the order of the taps is
    that of nn.Conv1d. Steps before the first count as zeros.

    A stride above 1 gives every stride-th step, counted back from the last; the dilation must then
    be 1.
    """
    y_CTB = torch_conv.convolve(x_ITB, weight_CIk, dilation, bias_C, stride)
    return y_CTB.relu_() if relu else y_CTB


def conv_at(
    x_NTIL: Tensor,
    weight_CIk: Tensor,
    taps: Taps,
    bias_C: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """The same over blocks, at the steps that `taps` are of, [N, S, C, L]."""
    from drnn_bench.kernels.fused_conv import Convolution

    bias_C = weight_CIk.new_zeros(len(weight_CIk)) if bias_C is None else bias_C.contiguous()
    weight_kCI = weight_CIk.permute(2, 0, 1).flip(0).contiguous()
    return Convolution.apply(x_NTIL.contiguous(), weight_kCI, bias_C, taps, relu)


def pointwise(x_NTIL: Tensor, weight_CI: Tensor, bias_C: Tensor | None = None) -> Tensor:
    """W x + b of every step, [N, T, C, L]."""
    return conv_at(x_NTIL, weight_CI.unsqueeze(2), every_step(x_NTIL.shape[1], 1, 1), bias_C)
