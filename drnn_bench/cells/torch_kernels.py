"""Torch's own recurrent kernels: rnn_tanh, gru, lstm.

Legend: R steps, N sequences, I inputs, H units.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def run(
    kernel: Callable, x_RNI: Tensor, weights: tuple[Tensor, ...], state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs [R, N, H], and the state after them, [N, H] for each variable."""
    # They take a second bias. It is no parameter of the layer, and always zero.
    params = [*weights, torch.zeros_like(weights[-1])]
    hidden = [h.unsqueeze(0).contiguous() for h in state]
    first = hidden if len(hidden) > 1 else hidden[0]
    # biases, 1 layer, no dropout, not training, one-way, steps first
    y, *after = kernel(x_RNI, first, params, True, 1, 0.0, False, False, False)
    return y, tuple(h.squeeze(0) for h in after)
