"""The fused CPU scan: a whole stack of layers as one node of the graph, in float32.

A block of COLUMNS sequences goes through all layers in the kernels' own layout; only what enters
and what leaves is converted. Blocks share nothing, so threads take them in any number; each sums
its own gradients of the weights, which are then added in order: the same bits for any threads.

Legend: T steps of a layer, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.errors import UserError
from drnn_bench.kernels import layout, settings
from drnn_bench.kernels.cells import KERNELS
from drnn_bench.kernels.compiled import prepare
from drnn_bench.kernels.layer import GATES, Layer
from drnn_bench.kernels.layout import (
    add_to_block,
    as_array,
    empty,
    fresh,
    from_block,
    numbers,
    put_in_block,
    to_block,
)
from drnn_bench.kernels.observed import observed
from drnn_bench.kernels.registers import COLUMNS, LANES, ROW
from drnn_bench.kernels.workspace import (
    WEIGHTS,
    Plan,
    chunks,
    view,
)


def stack(
    cell: str,
    x_TBI: Tensor,
    weights: Sequence[tuple[Tensor, ...]],
    dilations: Sequence[int],
    rows: Sequence[np.ndarray | None],
    last: int,
    states: Sequence[tuple[Tensor, ...]] | None,
    leaving: bool,
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """See `dispatch.stack`."""
    ready("layout")
    ready(KERNELS[cell][0].__name__.removesuffix("_forward"))
    plan = Plan(cell, x_TBI.shape, weights, dilations, rows, last, leaving)
    flat = [tensor for layer in weights for tensor in layer]
    flat += [tensor for state in states or () for tensor in state]
    y, *left = _Stack.apply(plan, x_TBI, *flat)
    return y, chunks(tuple(left), plan.states)


@lru_cache
def ready(name: str) -> None:
    """Compiles a cell's kernels, or the layout's, where this machine has not done so before."""
    of_layer = numba.types.NamedUniTuple(numba.int64, len(Layer._fields), Layer)
    known = layout.KERNELS if name == "layout" else KERNELS[name]
    prepare(name, dict(known) if name == "layout" else dict.fromkeys(known, numba.void(of_layer)))


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, plan: Plan, x_TBI: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        tensors = [t.detach().resolve_neg().contiguous() for t in tensors]
        weights, given = plan.split(tensors)
        keep = any(ctx.needs_input_grad)
        places, size = plan.kept() if keep else plan.passing()
        memory = empty(plan.blocks if keep else threads(plan.blocks), size, COLUMNS)
        layers = [plan.layer(i, weights[i]) for i in range(plan.depth)]
        y = empty(plan.last, plan.batch, plan.units[-1])
        left = [
            tuple(fresh(s, plan.batch, units) for _ in range(plan.states))
            for s, units in zip(plan.dilations, plan.units, strict=True)
            if plan.leaving
        ]
        x, out, kernel = as_array(x_TBI), y.numpy(), KERNELS[plan.cell][0]
        if plan.symbols:
            ctx.symbols, (w_ih, _, bias, *_) = _symbol_blocks(x), weights[0]
            table = fresh(w_ih.shape[1], plan.looked_up).zero_()
            table[:, : len(bias)] = w_ih.t() + bias
            layers[0] |= {"table": table.data_ptr(), "table_step": 4 * plan.looked_up}

        def run(block: int, rows: np.ndarray) -> None:
            first, base = block * COLUMNS, rows.ctypes.data
            if not plan.symbols:
                to_block(x, first, view(rows, 0, plan.input_steps, plan.inputs))
            below = 0
            for i, (layer, (h, c, gates)) in enumerate(zip(layers, places, strict=True)):
                s, steps, units = plan.dilations[i], plan.steps[i], plan.units[i]
                histories = [view(rows, at, s + steps, units) for at in (h, c)[: plan.states]]
                for v, history in enumerate(histories):
                    if given:
                        to_block(given[i][v].numpy(), first, history[:s])
                    else:
                        history[:s] = 0
                layer = layer | _addresses(base, x=below, h=h, c=c, gates=gates)
                layer["gates_step"] = GATES[plan.cell] * units * ROW * keep
                if plan.symbols and i == 0:
                    layer |= {"symbols": ctx.symbols[block].ctypes.data, "work": base}
                kernel(Layer(**layer))
                for v, history in enumerate(histories if left else ()):
                    from_block(history[steps:], numbers(s), first, left[i][v].numpy())
                below = h + s * layer["h_step"] // ROW
            from_block(histories[0][-plan.last :], numbers(plan.last), first, out)

        each_block(run, plan.blocks, memory.numpy())
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(memory, *tensors)
        return y, *(variable for state in left for variable in state)

    @staticmethod
    def backward(ctx, dy: Tensor | None, *d_left: Tensor | None) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        only_numbers(dy, *d_left)
        memory, *tensors = ctx.saved_tensors
        weights, given = plan.split(tensors)
        kept, (places, _) = memory.numpy(), plan.kept()
        layers = [plan.layer(i, weights[i]) for i in range(plan.depth)]
        d_left = chunks(d_left, plan.states) or [(None,) * plan.states] * plan.depth
        d_x = None
        if ctx.needs_input_grad[1]:
            d_x = empty(plan.input_steps, plan.batch, plan.inputs)
        onward = any(ctx.needs_input_grad[2 + plan.kinds * plan.depth :])
        d_given = [tuple(map(torch.empty_like, state)) for state in given] if onward else []
        # A line of memory for each block: the gradients of all weights, one after the other.
        sizes = [w.numel() for w in tensors[: plan.kinds * plan.depth]]
        starts = chunks(np.cumsum([0, *sizes[:-1]]).tolist(), plan.kinds)
        d_weights = fresh(plan.blocks, sum(sizes)).zero_()
        (*turns, dx_at, dc_at, work, biases, size), chunk, per_step = plan.gradients(
            d_x is not None
        )
        scratch = empty(threads(plan.blocks), size, COLUMNS).numpy()
        kernel, count = KERNELS[plan.cell][1], numbers(chunk).ctypes.data

        def dh_of(i: int, rows: np.ndarray) -> np.ndarray:
            """The gradient of layer i's h; it lies in memory last step first."""
            steps = plan.dilations[i] + plan.steps[i]
            return view(rows, turns[i % 2], steps, plan.units[i])[::-1]

        def begin(i: int, first: int, rows: np.ndarray, zeros: int | None) -> None:
            """The gradient of layer i's h, before any layer adds to it: so many zeros (None:
            nothing else), and what comes from the state that left."""
            dh, left = dh_of(i, rows), d_left[i][0]
            dh[:zeros] = 0
            if i == plan.depth - 1 and zeros is not None:
                put_in_block(as_array(dy), first, dh[zeros:])
            if left is not None:
                s = plan.dilations[i]
                add_to_block(as_array(left), first, dh[plan.steps[i] :], numbers(s))

        def run(block: int, rows: np.ndarray) -> None:
            first, base, mine = block * COLUMNS, kept[block].ctypes.data, rows.ctypes.data
            line = d_weights[block].numpy()
            quiet = plan.dilations[-1] + plan.steps[-1] - plan.last
            begin(plan.depth - 1, first, rows, None if dy is None else quiet)
            for i in reversed(range(plan.depth)):
                s, steps, units = plan.dilations[i], plan.steps[i], plan.units[i]
                h, c, gates = places[i]
                below, d_below, fresh = 0, None, plan.rows[i] is None
                if i > 0:
                    past = plan.dilations[i - 1]
                    below = places[i - 1][0] + past * layers[i]["x_step"] // ROW
                    d_below = dh_of(i - 1, rows)[past:]
                    fresh = fresh and d_left[i - 1][0] is None
                    begin(i - 1, first, rows, past if fresh else None)
                elif d_x is not None:
                    d_below = view(rows, dx_at, plan.input_steps, plan.inputs)[::-1]
                    if not fresh:
                        d_below[:] = 0
                if plan.states > 1:
                    dc, left = view(rows, dc_at, s, units), d_left[i][1]
                    dc[:] = 0
                    if left is not None:  # step t of c has slot t mod s
                        left = np.roll(as_array(left), steps % s, axis=0)
                        add_to_block(left, first, dc, numbers(s))
                layer = layers[i] | _addresses(base, x=below, h=h, c=c, gates=gates)
                layer |= _addresses(mine, dc=dc_at, work=work, d_bias=biases)
                layer["dh"] = dh_of(i, rows).ctypes.data
                layer["dx"] = 0 if d_below is None else d_below.ctypes.data
                for name, start in zip(WEIGHTS, starts[i], strict=False):
                    if name != "bias":
                        layer[f"d_{name}"] = line.ctypes.data + 4 * start
                if plan.symbols and i == 0:
                    table = np.zeros((weights[0][0].shape[1], plan.looked_up), np.float32)
                    layer |= {"symbols": ctx.symbols[block].ctypes.data}
                    layer |= {"table": table.ctypes.data, "table_step": 4 * plan.looked_up}
                sums = rows[biases:].reshape(-1, LANES)[: len(weights[i][2])]
                sums[:] = 0
                layer |= {"gates_step": GATES[plan.cell] * units * ROW, "dx_fresh": int(fresh)}
                layer |= {"onward": int(onward), "chunk": chunk, "work_step": per_step * ROW}
                kernel(Layer(**layer | {"count": count}))
                line[starts[i][2] :][: len(sums)] = sums.sum(1)
                if plan.symbols and i == 0:
                    line[: weights[0][0].numel()] = table[:, : len(sums)].T.ravel()
                if onward:
                    from_block(dh_of(i, rows), numbers(s), first, d_given[i][0].numpy())
                if onward and plan.states > 1:
                    from_block(dc, numbers(s), first, d_given[i][1].numpy())
            if d_x is not None:
                from_block(d_below, numbers(plan.input_steps), first, d_x.numpy())

        each_block(run, plan.blocks, scratch)
        total = d_weights[0] if plan.blocks == 1 else d_weights.sum(0)
        shapes = [w.shape for layer in weights for w in layer]
        grads = [g.view(shape) for g, shape in zip(total.split(sizes), shapes, strict=True)]
        states = [t for state in d_given for t in state] or [None] * len(tensors[len(grads) :])
        return None, d_x, *grads, *states


def only_numbers(*gradients: Tensor | None) -> None:
    """Raises UserError where more is wanted: many gradients at once, or the gradients' own."""
    given = [grad for grad in gradients if grad is not None]
    try:
        readable = not observed(given) and not torch.is_grad_enabled()  # create_graph=True
        for grad in given:
            grad.data_ptr()
    except RuntimeError:  # is_grads_batched=True
        readable = False
    if not readable:
        raise UserError(
            "the fused kernels give one gradient at a time, which cannot be differentiated again: "
            'run the net within `drnn_bench.kernels.forced("torch")`'
        )


def _symbol_blocks(symbols_TB: np.ndarray) -> np.ndarray:
    """Symbols by block [n, T, COLUMNS]; behind the last sequence, it is repeated."""
    steps, batch = symbols_TB.shape
    count = -(-batch // COLUMNS)
    columns = np.minimum(np.arange(count * COLUMNS), batch - 1)
    whole = symbols_TB[:, columns].reshape(steps, count, COLUMNS)
    return np.ascontiguousarray(whole.swapaxes(0, 1), np.int64)


def _addresses(base: int, **places: int) -> dict[str, int]:
    return {name: base + place * ROW for name, place in places.items()}


def threads(blocks: int) -> int:
    """How many threads take so many blocks."""
    return min(blocks, settings.threads())


def each_block(run: Callable[[int, np.ndarray], None], count: int, memories: np.ndarray) -> None:
    """run(block, memory) for every block; a memory each, or one a thread."""
    workers = threads(count)

    def share(worker: int) -> None:
        for block in range(worker, count, workers):
            run(block, memories[block % len(memories)])

    if workers == 1:
        share(0)
    else:
        list(_pool(workers).map(share, range(workers)))


@lru_cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers)
