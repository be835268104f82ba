"""The fused CPU scan: a whole stack of layers as one node of the graph, in float32.

A block of COLUMNS sequences goes through all layers in the kernels' own layout (`fused_forward`,
`fused_backward`). Only the inputs and the results are converted to torch's layout and back.

Legend: T steps of a layer, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, State, Weights
from drnn_bench.kernels import (
    fused_conv,
    fused_depthwise,
    fused_gated,
    fused_lru,
    fused_s4d,
    fused_selective,
    layout,
)
from drnn_bench.kernels.checks import check_gradients
from drnn_bench.kernels.compiled import prepare
from drnn_bench.kernels.fused_backward import Backward
from drnn_bench.kernels.fused_cells import KERNELS
from drnn_bench.kernels.fused_forward import Forward
from drnn_bench.kernels.layer import RECORD
from drnn_bench.kernels.settings import CONVOLUTION, DIAGONAL, GATED, SELECTIVE
from drnn_bench.kernels.workspace import Workspace, chunks, workspace_of


def stack(
    cell: Cell,
    x_TBI: Tensor,
    weights: Sequence[Weights],
    dilations: Sequence[int],
    rows: Sequence[np.ndarray | None],
    last: int,
    states: Sequence[State] | None,
    return_states: bool,
) -> tuple[Tensor, list[State]]:
    """See `dispatch.stack`; the weights are as the fused kernel takes them."""
    workspace = workspace_of(cell, x_TBI.shape, weights, dilations, rows, last, return_states)
    ready("layout")
    ready(workspace.fused.name)
    flat = [tensor for layer in weights for tensor in layer]
    flat += [tensor for state in states or () for tensor in state]
    y, *after = _Stack.apply(workspace, x_TBI, *flat)
    return y, [tuple(state) for state in chunks(after, workspace.states)]


@lru_cache
def ready(name: str) -> None:
    """Compiles the kernels of a cell, of the layout, of convolutions, of diagonal, gated or
    selective recurrences, where this machine has not done so before."""
    if name == "layout":
        prepare(name, layout.KERNELS)
    elif name == CONVOLUTION:
        prepare(name, fused_conv.KERNELS)
    elif name == DIAGONAL:
        prepare(name, fused_s4d.KERNELS | fused_lru.KERNELS)
    elif name == GATED:
        prepare(name, fused_gated.KERNELS)
    elif name == SELECTIVE:
        prepare(name, fused_selective.KERNELS | fused_depthwise.KERNELS)
    else:
        prepare(name, dict.fromkeys(KERNELS[name], numba.void(RECORD)))


class _Stack(torch.autograd.Function):
    """From the inputs, all weights and all states before the first step to the outputs and all
    states after the last step."""

    @staticmethod
    def forward(ctx: Any, workspace: Workspace, x_TBI: Tensor, *tensors: Tensor) -> tuple:
        plain = [t.detach().resolve_neg().contiguous() for t in tensors]
        scan = Forward(workspace, x_TBI, plain, training=any(ctx.needs_input_grad))
        scan.run()
        ctx.workspace, ctx.symbols = workspace, scan.symbols
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(scan.memory, *plain)
        return scan.y, *(variable for state in scan.states_after for variable in state)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        check_gradients(*gradients)
        memory, *tensors = ctx.saved_tensors
        _, of_inputs, *of_tensors = ctx.needs_input_grad
        of_states = any(of_tensors[ctx.workspace.weights_per_layer * ctx.workspace.depth :])
        scan = Backward(
            ctx.workspace, memory, tensors, ctx.symbols, gradients, of_inputs, of_states
        )
        scan.run()
        return None, *scan.gradients()
