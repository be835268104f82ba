"""The fused kernel of `depthwise`, in float32 on the CPU.

Sequences and channels of a step lie side by side: N = B * E numbers, with taps for each. Loops over
them are vectors, and the few steps that taps reach stay in the cache.

Legend: S steps read, T steps, B batch, E channels, k taps, N numbers of a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import float32, int64, void
from torch import Tensor

from drnn_bench.kernels.blocks import each_block, threads
from drnn_bench.kernels.checks import one_gradient, plain_gradients
from drnn_bench.kernels.compiled import helper, kernel
from drnn_bench.kernels.layout import fresh
from drnn_bench.kernels.registers import COLUMNS
from drnn_bench.kernels.torch_conv import depthwise

_MANY, _ROW = float32[:, ::1], float32[::1]


@helper
def _add_product(into, one, other):
    """Rows that were cut out before the loop: LLVM makes vectors of it."""
    for n in range(len(into)):
        into[n] += one[n] * other[n]


@kernel
def depthwise_forward(seen, weight, bias, y, start, stop):
    """Of the numbers start .. stop - 1 of each step."""
    taps = len(weight)
    for t in range(len(y)):
        y[t, start:stop] = bias[start:stop]
        for j in range(taps):
            _add_product(
                y[t, start:stop], weight[j, start:stop], seen[t + taps - 1 - j, start:stop]
            )


@kernel
def depthwise_backward(seen, weight, dy, d_seen, d_weight, start, stop):
    """The same; `d_weight`: zeros [k + 1, N], which take the gradient of the biases last."""
    taps = len(weight)
    d_seen[: taps - 1, start:stop] = 0
    for t in range(len(dy)):
        d_seen[t + taps - 1, start:stop] = 0
        of_step, d_bias = dy[t, start:stop], d_weight[taps, start:stop]
        for n in range(stop - start):
            d_bias[n] += of_step[n]
        for j in range(taps):
            s = t + taps - 1 - j
            _add_product(d_seen[s, start:stop], weight[j, start:stop], of_step)
            _add_product(d_weight[j, start:stop], seen[s, start:stop], of_step)


KERNELS = {
    depthwise_forward: void(_MANY, _MANY, _ROW, _MANY, int64, int64),
    depthwise_backward: void(_MANY, _MANY, _MANY, _MANY, _MANY, int64, int64),
}


class FusedDepthwise(torch.autograd.Function):
    """As `depthwise.depthwise_conv`."""

    @staticmethod
    def forward(ctx: Any, seen_SBE: Tensor, weight_Ek: Tensor, bias_E: Tensor) -> Tensor:
        ctx.save_for_backward(seen_SBE, weight_Ek, bias_E)
        y_TBE = fresh(len(seen_SBE) - weight_Ek.shape[1] + 1, *seen_SBE.shape[1:])
        batch = seen_SBE.shape[1]
        bias_N = bias_E.detach().repeat(batch).numpy()
        seen, weight, y = _rows(seen_SBE), _taps(weight_Ek, batch), _rows(y_TBE)
        _share(lambda *part: depthwise_forward(seen, weight, bias_N, y, *part), y_TBE)
        return y_TBE

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        seen_SBE, weight_Ek, _ = given = ctx.saved_tensors
        if not one_gradient(grads):
            return plain_gradients(depthwise, given, grads)
        (channels, taps), batch = weight_Ek.shape, seen_SBE.shape[1]
        d_seen_SBE, d_weight = fresh(*seen_SBE.shape), fresh(taps + 1, batch * channels).zero_()
        rows = (_rows(seen_SBE), _taps(weight_Ek, batch), _rows(grads[0]), _rows(d_seen_SBE))
        _share(lambda *part: depthwise_backward(*rows, d_weight.numpy(), *part), d_seen_SBE)
        of_taps = d_weight.view(taps + 1, batch, channels).sum(1)
        return d_seen_SBE, of_taps[:taps].t(), of_taps[taps]


def _rows(x_TBE: Tensor) -> np.ndarray:
    """[T, N], contiguous: the very memory of a tensor that is so."""
    return x_TBE.detach().resolve_neg().contiguous().flatten(1).numpy()


def _taps(weight_Ek: Tensor, batch: int) -> np.ndarray:
    """[k, N]"""
    return weight_Ek.detach().resolve_neg().t().repeat(1, batch).numpy()


def _share(run: Any, of_TBE: Tensor) -> None:
    """Calls run(start, stop) for parts of the numbers of a step, on all threads."""
    numbers = of_TBE[0].numel()
    parts = threads(-(-numbers // COLUMNS))
    ends = [numbers * part // parts for part in range(parts + 1)]
    each_block(lambda i, *_: run(ends[i], ends[i + 1]), parts, of_TBE.view(1, -1))
