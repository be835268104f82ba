"""The clockwork modules on the fused kernels: a block of sequences goes through all of them, and
a module reads the histories of the slower ones where they lie.

Legend: T steps, B batch, I inputs, H units of a module. Places count rows of COLUMNS floats.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels.cells import rnn_backward, rnn_forward
from drnn_bench.kernels.clockwork import Schedule
from drnn_bench.kernels.fused import (
    each_block,
    only_numbers,
    ready,
    threads,
)
from drnn_bench.kernels.layer import Layer
from drnn_bench.kernels.layout import (
    add_to_block,
    as_array,
    empty,
    fresh,
    from_block,
    numbers,
    to_block,
)
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.workspace import (
    CHUNK,
    NOTHING,
    chunks,
    pitch,
    view,
)


def scan(
    x_TBI: Tensor,
    weights: Sequence[tuple[Tensor, Tensor, Tensor]],
    when: Schedule,
    hidden: Sequence[Tensor],
    last: int,
) -> tuple[Tensor, list[Tensor]]:
    """See the package's docstring."""
    ready("layout")
    ready("rnn")
    flat = [tensor for module in weights for tensor in module]
    y, *left = _Modules.apply(_Plan(x_TBI, weights, when, last), x_TBI, *flat, *hidden)
    return y, left


class _Plan:
    def __init__(self, x_TBI: Tensor, weights: Sequence, when: Schedule, last: int):
        self.steps, self.batch, self.inputs = x_TBI.shape
        self.last, self.fires, self.heard = last, when.fires, when.heard
        self.units = [w_hh.shape[0] for _, w_hh, _ in weights]
        self.modules = range(len(weights))
        steps = np.arange(self.steps - last, self.steps)
        self.held = [when.held(i, steps) for i in self.modules]
        self.lengths = [1 + len(fires) for fires in self.fires]
        self.blocks = -(-self.batch // COLUMNS)
        # Of a workspace: the input, every module's history, and the end.
        sizes = [n * pitch(units) for n, units in zip(self.lengths, self.units, strict=True)]
        self.places = np.cumsum([0, self.steps * pitch(self.inputs), *sizes]).tolist()

    def histories(self, rows: np.ndarray) -> list[np.ndarray]:
        shapes = zip(self.places[1:], self.lengths, self.units, strict=False)
        return [view(rows, *shape) for shape in shapes]

    def input(self, rows: np.ndarray) -> np.ndarray:
        return view(rows, 0, self.steps, self.inputs)

    def columns(self) -> list[slice]:
        """Where the modules stand in the output."""
        ends = np.cumsum([0, *self.units])
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    def module(
        self, i: int, weights: Sequence[Tensor], rows: np.ndarray, gradients: np.ndarray | None
    ) -> tuple[dict[str, int], np.ndarray]:
        """What both kernels are told of a module, and its table of sources, to be kept alive."""
        histories = self.histories(rows)
        slower = [h.ctypes.data for h in histories[i + 1 :]]
        moved = 0 if gradients is None else gradients.ctypes.data - rows.ctypes.data
        table = np.array(
            [
                (units, at, pitch(units) * ROW, order.ctypes.data, at + moved)
                for units, at, order in zip(self.units[i + 1 :], slower, self.heard[i], strict=True)
            ],
            np.int64,
        )
        w_ih, w_hh, bias = weights
        return NOTHING | {
            "steps": len(self.fires[i]),
            "dilation": 1,
            "inputs": self.inputs,
            "units": self.units[i],
            "x": rows.ctypes.data,
            "x_step": pitch(self.inputs) * ROW,
            "order": self.fires[i].ctypes.data,
            "h": histories[i].ctypes.data,
            "h_step": pitch(self.units[i]) * ROW,
            "w_ih": w_ih.data_ptr(),
            "w_step": 4 * w_ih.shape[1],
            "w_hh": w_hh.data_ptr(),
            "bias": bias.data_ptr(),
            "sources": table.ctypes.data,
            "sources_end": table.ctypes.data + table.nbytes,
        }, table


class _Modules(torch.autograd.Function):
    @staticmethod
    def forward(ctx, plan: _Plan, x_TBI: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        tensors = [t.detach().resolve_neg().contiguous() for t in tensors]
        cut = 3 * len(plan.modules)
        weights, hidden = chunks(tensors[:cut], 3), [t.unsqueeze(0).numpy() for t in tensors[cut:]]
        keep = any(ctx.needs_input_grad)
        memory = empty(plan.blocks if keep else threads(plan.blocks), plan.places[-1], COLUMNS)
        x, y = as_array(x_TBI), empty(plan.last, plan.batch, sum(plan.units))
        left = [fresh(plan.batch, units) for units in plan.units]

        def run(block: int, rows: np.ndarray) -> None:
            first, histories = block * COLUMNS, plan.histories(rows)
            to_block(x, first, plan.input(rows))
            for i in reversed(plan.modules):
                to_block(hidden[i], first, histories[i][:1])
                layer, _table = plan.module(i, weights[i], rows, None)
                rnn_forward(Layer(**layer))
            for i, columns in enumerate(plan.columns()):
                from_block(histories[i], plan.held[i], first, y.numpy()[:, :, columns])
                from_block(histories[i][-1:], numbers(1), first, left[i].unsqueeze(0).numpy())

        each_block(run, plan.blocks, memory.numpy())
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(memory, *tensors)
        return y, *left

    @staticmethod
    def backward(ctx, dy: Tensor | None, *d_left: Tensor | None) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        only_numbers(dy, *d_left)
        memory, *tensors = ctx.saved_tensors
        cut = 3 * len(plan.modules)
        weights, kept = chunks(tensors[:cut], 3), memory.numpy()
        d_x = fresh(plan.steps, plan.batch, plan.inputs) if ctx.needs_input_grad[1] else None
        d_hidden = [torch.empty_like(t) for t in tensors[cut:]]
        sizes = [w.numel() for w in tensors[:cut]]
        starts = chunks(np.cumsum([0, *sizes[:-1]]).tolist(), 3)
        d_weights = fresh(plan.blocks, sum(sizes)).zero_()
        # A workspace as forward's, for gradients; then a chunk of gates', and the biases'.
        chunk, widest = CHUNK[1], max(plan.units)
        work = plan.places[-1]
        biases = work + chunk * pitch(widest)
        end = biases + -(-widest * LANES // COLUMNS)
        scratch = empty(threads(plan.blocks), end, COLUMNS).numpy()
        count = numbers(chunk).ctypes.data

        def run(block: int, rows: np.ndarray) -> None:
            first, line = block * COLUMNS, d_weights[block].numpy()
            histories = plan.histories(rows)
            rows[:work] = 0
            for i, columns in enumerate(plan.columns()):
                if dy is not None:
                    add_to_block(as_array(dy)[:, :, columns], first, histories[i], plan.held[i])
                if d_left[i] is not None:
                    left = as_array(d_left[i]).reshape(1, plan.batch, -1)
                    add_to_block(left, first, histories[i][-1:], numbers(1))
            for i in plan.modules:
                layer, _table = plan.module(i, weights[i], kept[block], rows)
                sums = rows[biases:].reshape(-1, LANES)[: plan.units[i]]
                sums[:] = 0
                d_w_ih, d_w_hh, d_bias = starts[i]
                layer |= {
                    "dh": histories[i].ctypes.data,
                    "dh_step": layer["h_step"],
                    "dx": 0 if d_x is None else rows.ctypes.data,
                    "dx_step": layer["x_step"],
                    "onward": 1,
                    "d_w_ih": line.ctypes.data + 4 * d_w_ih,
                    "d_w_hh": line.ctypes.data + 4 * d_w_hh,
                    "d_bias": rows.ctypes.data + biases * ROW,
                    "work": rows.ctypes.data + work * ROW,
                    "work_step": pitch(widest) * ROW,
                    "chunk": chunk,
                    "count": count,
                }
                rnn_backward(Layer(**layer))
                line[d_bias : d_bias + len(sums)] = sums.sum(1)
                from_block(histories[i], numbers(1), first, d_hidden[i].unsqueeze(0).numpy())
            if d_x is not None:
                from_block(plan.input(rows), numbers(plan.steps), first, d_x.numpy())

        each_block(run, plan.blocks, scratch)
        total = d_weights[0] if plan.blocks == 1 else d_weights.sum(0)
        pairs = zip(total.split(sizes), tensors, strict=False)
        return None, d_x, *(g.view(w.shape) for g, w in pairs), *d_hidden
