"""The fused CPU scan: a whole stack of layers as one node of the graph, in float32.

A block of COLUMNS sequences goes through all layers in the kernels' own layout; only what enters
and what leaves is converted. Blocks share nothing, so threads take them in any number; each sums
its own gradients of the weights, which are then added in order: the same bits for any threads.

Legend: T steps of a layer, B batch, I inputs, H units, s dilation. Places in a workspace are
counted in rows of COLUMNS floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels import layout
from drnn_bench.kernels.cells import GATES, KERNELS, WORK, Layer
from drnn_bench.kernels.compiled import prepare
from drnn_bench.kernels.layout import add_to_block, from_block, numbers, to_block, workspace
from drnn_bench.kernels.stock import STATES
from drnn_bench.kernels.vectors import COLUMNS, ROW

CACHE, CHUNK = 384 * 1024, (8, 16)  # gate gradients that wait: bytes; fewest and most steps
WEIGHTS = ("w_ih", "w_hh", "bias", "w_last")
NOTHING = dict.fromkeys(Layer._fields, 0)


def stack(
    cell: str,
    x_TBI: Tensor,
    weights: Sequence[tuple[Tensor, ...]],
    dilations: Sequence[int],
    rows: Sequence[np.ndarray | None],
    last: int,
    states: Sequence[tuple[Tensor, ...]] | None,
) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
    """See the package's docstring."""
    ready("layout")
    ready(KERNELS[cell][0].__name__.removesuffix("_forward"))
    call = _Call(cell, x_TBI.shape, weights, tuple(dilations), rows, last, states is not None)
    flat = [tensor for layer in weights for tensor in layer]
    flat += [tensor for state in states or () for tensor in state]
    y, *left = _Stack.apply(call, x_TBI, *flat)
    each = STATES[cell]
    return y, [tuple(left[i : i + each]) for i in range(0, len(left), each)]


@lru_cache
def ready(name: str) -> None:
    """Compiles a cell's kernels, or the layout's, where this machine has not done so before."""
    of_layer = numba.types.NamedUniTuple(numba.int64, len(Layer._fields), Layer)
    known = layout.KERNELS if name == "layout" else KERNELS[name]
    prepare(name, dict(known) if name == "layout" else dict.fromkeys(known, numba.void(of_layer)))


class _Call:
    """The shape of one call, and where everything lies in a block's workspace."""

    def __init__(self, cell, x_shape, weights, dilations, rows, last, given):
        self.cell, self.dilations, self.last, self.given = cell, dilations, last, given
        self.depth, self.states = len(dilations), STATES[cell]
        self.weights = len(weights[0])  # tensors a layer
        self.input_steps, self.batch, inputs = x_shape
        self.sizes = (inputs, *(w_hh.shape[1] for _, w_hh, *_ in weights))
        self.units = self.sizes[1:]
        self.rows, self.steps = rows, []
        for taken in rows:
            below = self.steps[-1] if self.steps else self.input_steps
            self.steps.append(below if taken is None else len(taken))
        # Rows of a state variable: s steps before the first, and T.
        shapes = zip(dilations, self.steps, self.units, strict=True)
        self.histories = [(s + steps) * units for s, steps, units in shapes]
        self.blocks = -(-self.batch // COLUMNS)

    def places(self, keep: bool) -> tuple[int, list[tuple[tuple[int, ...], int]]]:
        """Rows in all, and per layer where its state variables and its gates are. The input is
        at 0. Where no gradient will be asked for, layers take turns with the memory of two."""
        start = self.input_steps * self.sizes[0]
        longest, gates = max(self.histories), GATES[self.cell]
        places = []
        for layer, rows in enumerate(self.histories):
            if keep:
                states = tuple(start + v * rows for v in range(self.states))
                start += self.states * rows
                places.append((states, start))
                start += gates * self.units[layer] * self.steps[layer]
            else:
                turns = (start + layer % 2 * longest, start + 2 * longest)
                places.append((turns[: self.states], start + 3 * longest))
        if not keep:
            start += 3 * longest + gates * max(self.units)
        return start, places

    def common(self, layer: int, weights: Sequence[Tensor]) -> dict[str, int]:
        """What a forward and a backward kernel are both told."""
        taken = self.rows[layer]
        order = numbers(self.steps[layer]) if taken is None else taken
        return (
            NOTHING
            | dict(zip(WEIGHTS, (w.data_ptr() for w in weights), strict=False))
            | {
                "steps": self.steps[layer],
                "dilation": self.dilations[layer],
                "inputs": self.sizes[layer],
                "units": self.units[layer],
                "order": order.ctypes.data,
            }
        )

    def split(self, tensors: Sequence) -> tuple[list, list]:
        """The weights of each layer, and the states of each layer."""
        parts, start = [], 0
        for each in (self.weights, self.states):
            end = min(len(tensors), start + each * self.depth)
            parts.append([tensors[i : i + each] for i in range(start, end, each)])
            start = end
        return parts[0], parts[1]


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, call: _Call, x_TBI: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        keep = any(ctx.needs_input_grad)
        tensors = [t.detach().contiguous() for t in tensors]
        weights, given = call.split(tensors)
        size, places = call.places(keep)
        memory = workspace(size, call.blocks if keep else min(call.blocks, _threads()))
        y = x_TBI.new_empty(call.last, call.batch, call.units[-1])
        left = [
            tuple(x_TBI.new_empty(s, call.batch, units) for _ in range(call.states))
            for s, units in zip(call.dilations, call.units, strict=True)
        ]
        x, kernel = x_TBI.detach(), KERNELS[call.cell][0]
        common = [call.common(i, weights[i]) for i in range(call.depth)]

        def run(block: int, rows: np.ndarray) -> None:
            first, base, below = block * COLUMNS, rows.ctypes.data, 0
            to_block(x.numpy(), first, _part(rows, 0, x.shape))
            for i, (states, gates) in enumerate(places):
                s, steps, units = call.dilations[i], call.steps[i], call.units[i]
                for v, at in enumerate(states):
                    past = rows[at : at + s * units]
                    past[:] = 0
                    if given:
                        to_block(given[i][v].numpy(), first, _part(rows, at, given[i][v].shape))
                kernel(
                    Layer(
                        **common[i]
                        | {
                            "x": base + below * ROW,
                            "h": base + states[0] * ROW,
                            "c": base + states[-1] * ROW,
                            "gates": base + gates * ROW,
                            "gates_step": GATES[call.cell] * units * ROW if keep else 0,
                        }
                    )
                )
                for at, after in zip(states, left[i], strict=True):
                    from_block(_part(rows, at + steps * units, after.shape), first, after.numpy())
                below = states[0] + s * units
            from_block(_part(rows, below + (steps - call.last) * units, y.shape), first, y.numpy())

        _each(run, call.blocks, memory.numpy())
        ctx.call = call
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(memory, *tensors)
        return y, *(variable for state in left for variable in state)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, dy: Tensor | None, *d_left: Tensor | None) -> tuple[Tensor | None, ...]:
        call: _Call = ctx.call
        memory, *tensors = ctx.saved_tensors
        weights, given = call.split(tensors)
        kept, places = memory.numpy(), call.places(True)[1]
        d_left = [d_left[i : i + call.states] for i in range(0, len(d_left), call.states)]
        state_wanted = any(ctx.needs_input_grad[2 + call.weights * call.depth :])
        x_shape = (call.input_steps, call.batch, call.sizes[0])
        d_x = torch.empty(x_shape) if ctx.needs_input_grad[1] else None
        d_given = [tuple(map(torch.empty_like, state)) for state in given] if state_wanted else []

        # One row of memory a block: the gradients of all its weights, one after the other.
        sizes = [w.numel() for layer in weights for w in layer]
        starts = np.cumsum([0, *sizes])
        d_weights = torch.zeros(call.blocks, int(starts[-1]))
        common = [call.common(i, weights[i]) for i in range(call.depth)]

        # Workspace: gradients of the states of two layers, of the inputs, of c, of the gates.
        per_step = WORK[call.cell] * max(call.units)
        chunk = min(max(CACHE // (per_step * ROW), CHUNK[0]), CHUNK[1])
        longest = max(call.histories)
        ring = max(s * units for s, units in zip(call.dilations, call.units, strict=True))
        inputs = call.input_steps * call.sizes[0] if d_x is not None else 0
        ends = np.cumsum([0, longest, longest, inputs, ring, chunk * per_step, 1]).tolist()
        scratch = workspace(ends[-1], min(call.blocks, _threads())).numpy()
        kernel = KERNELS[call.cell][1]

        def begin(i: int, first: int, rows: np.ndarray, fresh: bool) -> None:
            """The gradient of layer i's h, before any layer adds to it: zero, or what came from
            the state that left; `fresh`: the layer above will overwrite all steps."""
            s, steps, units = call.dilations[i], call.steps[i], call.units[i]
            at, left = ends[i % 2], d_left[i][0]
            rows[at : at + (s if fresh else s + steps) * units] = 0
            if left is not None:
                add_to_block(left.numpy(), first, _part(rows, at + steps * units, left.shape))

        def run(block: int, rows: np.ndarray) -> None:
            first, base, mine = block * COLUMNS, kept[block].ctypes.data, rows.ctypes.data
            _, _, dx_at, dc_at, work_at, one_at = ends[:-1]
            rows[one_at] = 1
            begin(call.depth - 1, first, rows, False)
            if dy is not None:
                end = ends[(call.depth - 1) % 2] + call.histories[-1]
                part = _part(rows, end - call.last * call.units[-1], dy.shape)
                add_to_block(dy.numpy(), first, part)
            for i in reversed(range(call.depth)):
                s, steps, units = call.dilations[i], call.steps[i], call.units[i]
                (h, c), gates = (places[i][0][0], places[i][0][-1]), places[i][1]
                dh, below, dx, fresh = ends[i % 2], 0, 0, call.rows[i] is None
                if i > 0:
                    before = call.dilations[i - 1] * call.units[i - 1]
                    below, dx = places[i - 1][0][0] + before, ends[(i - 1) % 2] + before
                    fresh = fresh and d_left[i - 1][0] is None
                    begin(i - 1, first, rows, fresh)
                elif d_x is not None:
                    dx = dx_at
                    if not fresh:
                        rows[dx : ends[3]] = 0
                if call.states > 1:  # step t of c has slot t mod s
                    rows[dc_at : dc_at + s * units] = 0
                    if d_left[i][1] is not None:
                        left = np.roll(d_left[i][1].numpy(), steps % s, axis=0)
                        add_to_block(left, first, _part(rows, dc_at, left.shape))
                grads = {
                    f"d_{name}": d_weights[block].data_ptr() + 4 * int(start)
                    for name, start in zip(
                        WEIGHTS, starts[call.weights * i :][: call.weights], strict=False
                    )
                }
                kernel(
                    Layer(
                        **common[i]
                        | grads
                        | {
                            "x": base + below * ROW,
                            "h": base + h * ROW,
                            "c": base + c * ROW,
                            "gates": base + gates * ROW,
                            "gates_step": GATES[call.cell] * units * ROW,
                            "dh": mine + dh * ROW,
                            "dc": mine + dc_at * ROW,
                            "dx": mine + dx * ROW if i > 0 or d_x is not None else 0,
                            "dx_fresh": int(fresh),
                            "state_wanted": int(state_wanted),
                            "work": mine + work_at * ROW,
                            "chunk": chunk,
                            "one": mine + one_at * ROW,
                            "count": counted.ctypes.data,
                            "zeros": zeros.ctypes.data,
                        }
                    )
                )
                if state_wanted:
                    for at, state in zip((dh, dc_at), d_given[i], strict=False):
                        from_block(_part(rows, at, state.shape), first, state.numpy())
            if d_x is not None:
                from_block(_part(rows, dx_at, x_shape), first, d_x.numpy())

        counted, zeros = numbers(chunk), np.zeros(chunk, np.int64)
        _each(run, call.blocks, scratch)
        total = d_weights[0] if call.blocks == 1 else d_weights.sum(0)
        shapes = [w.shape for layer in weights for w in layer]
        grads = [g.view(shape) for g, shape in zip(total.split(sizes), shapes, strict=True)]
        states = [t for state in d_given for t in state] or [None] * (len(tensors) - len(grads))
        return None, d_x, *grads, *states


def _part(rows: np.ndarray, at: int, shape: Sequence[int]) -> np.ndarray:
    """The block of a tensor [T, B, I] of this shape that lies at a place."""
    steps, _, features = shape
    return rows[at : at + steps * features].reshape(steps, features, COLUMNS)


def _threads() -> int:
    return torch.get_num_threads()


def _each(run: Callable[[int, np.ndarray], None], count: int, memories: np.ndarray) -> None:
    """run(block, memory) for every block; a memory each, or one a thread."""
    threads = min(count, _threads())

    def share(thread: int) -> None:
        for block in range(thread, count, threads):
            run(block, memories[block % len(memories)])

    if threads == 1:
        share(0)
    else:
        list(_pool(threads).map(share, range(threads)))


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
