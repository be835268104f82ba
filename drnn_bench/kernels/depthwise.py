"""A causal convolution of each channel with taps of its own, the newest first.

Torch takes a product and a sum over all steps for each tap, forward and three times backward. The
fused kernel passes over the steps once.

Legend: S steps read, T = S - k + 1 steps, B batch, E channels, k taps.
"""

from __future__ import annotations

from torch import Tensor

from drnn_bench.kernels import torch_conv
from drnn_bench.kernels.dispatch import SHORT, allows_fused
from drnn_bench.kernels.settings import SELECTIVE, note_use, wanted


def depthwise_conv(seen_SBE: Tensor, weight_Ek: Tensor, bias_E: Tensor) -> Tensor:
    """y_t = bias + sum_j weight[:, j] seen_(t+k-1-j), [T, B, E]: the first k - 1 steps are read by
    later ones only. Gradients can be differentiated again."""
    given = (seen_SBE, weight_Ek, bias_E)
    if not seen_SBE.numel() or not allows_fused(given):
        return torch_conv.depthwise(*given)
    if wanted() == "auto" and seen_SBE.shape[0] - weight_Ek.shape[1] + 1 < SHORT:
        return torch_conv.depthwise(*given)
    from drnn_bench.kernels.fused import ready
    from drnn_bench.kernels.fused_depthwise import FusedDepthwise

    ready(SELECTIVE)
    note_use("fused")
    return FusedDepthwise.apply(*given)
