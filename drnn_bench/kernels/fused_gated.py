"""The recurrence of gated linear attention (see `gated`) over blocks of sequences.

Of each number of a state, s = a s + k v. It stays in registers while it walks through a chunk of
steps. The states before each chunk are kept, and backward computes those between again. With do the
gradient of the answers, that of the state runs backwards in time:

    ds_t = q_t do_t + a_(t+1) ds_(t+1)

and of the logarithm of a gate it is the sum of a_t ds_t s_(t-1) over the values.

Legend: T steps, L of them answered, the last ones, B batch, h heads, d numbers of a key, e of a
value, D = h * d, E = h * e. Addresses are in bytes.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from drnn_bench.kernels.calls import cut, each_cut, filled, out
from drnn_bench.kernels.checks import one_gradient, plain_gradients
from drnn_bench.kernels.compiled import inline, kernel
from drnn_bench.kernels.gated_plain import plain
from drnn_bench.kernels.layout import as_array, empty, fresh, put_in_block, to_block
from drnn_bench.kernels.registers import COLUMNS, ROW
from drnn_bench.kernels.vectors import constant, fma, load, store

CHUNK = 16  # steps
# One block.
#   q, k, v, a, o   [L, D], [T, D], [T, E], [T, D], [L, E]
#   state           [D, e]: the states before the first step, then those after the last; in backward
#                   their gradients, the other way round
#   before          the states before each chunk [chunks, D, e], or 0 where none are kept
# Backward adds:
#   work            rows for the states of a chunk
#   do              gradient of o
#   by_q ..         gradients of q, k, v and of the logarithms of a
FIELDS = (
    "steps", "first", "heads", "keys", "values", "q", "k", "v", "a", "o", "state", "before",
    "work", "do", "by_q", "by_k", "by_v", "by_a",
)  # fmt: skip
ARGUMENTS = np.dtype([(name, np.int64) for name in FIELDS])


@inline
def _zero(address, rows):
    for row in range(rows):
        store(address + row * ROW, constant(0.0))


@inline
def _next(a, s, t, i, j):
    """A number of the states after step t. `i`, `j`: its rows among D keys and among E values."""
    key, value = (t * a.heads * a.keys + i) * ROW, (t * a.heads * a.values + j) * ROW
    return fma(load(a.a + key), s, load(a.k + key) * load(a.v + value))


@kernel
def gated_forward(a):
    before, keys, values = a.before, a.heads * a.keys, a.heads * a.values
    low = np.int64(0)  # of the literal 0 Numba would compile a version of its own
    while low < a.steps:
        high, answered = min(a.steps, low + CHUNK), max(low, a.first)
        if answered < high:
            _zero(a.o + (answered - a.first) * values * ROW, (high - answered) * values)
        for i in range(keys):
            for value in range(a.values):
                j, state = i // a.keys * a.values + value, a.state + (i * a.values + value) * ROW
                s = load(state)
                if a.before:
                    store(before, s)
                    before += ROW
                for t in range(low, min(answered, high)):
                    s = _next(a, s, t, i, j)
                for t in range(answered, high):
                    s = _next(a, s, t, i, j)
                    o = a.o + ((t - a.first) * values + j) * ROW
                    store(o, fma(load(a.q + ((t - a.first) * keys + i) * ROW), s, load(o)))
                store(state, s)
        low = high


@kernel
def gated_backward(a):
    high, keys, values = a.steps, a.heads * a.keys, a.heads * a.values
    _zero(a.by_q, (a.steps - a.first) * keys)
    _zero(a.by_k, a.steps * keys)
    _zero(a.by_a, a.steps * keys)
    _zero(a.by_v, a.steps * values)
    while high > 0:
        low = (high - 1) // CHUNK * CHUNK
        before = a.before + low // CHUNK * keys * a.values * ROW
        for i in range(keys):
            for value in range(a.values):
                j, state = i // a.keys * a.values + value, a.state + (i * a.values + value) * ROW
                _number_backward(a, i, j, before, state, low, high)
                before += ROW
        high = low


@inline
def _number_backward(a, i, j, before, state, low, high):
    """One number of a state through one chunk: first its values again, then their gradients."""
    keys, values = a.heads * a.keys, a.heads * a.values
    s, answered = load(before), min(high, max(low, a.first))
    for t in range(low, high):
        store(a.work + (t - low) * ROW, s)
        s = _next(a, s, t, i, j)
        if t >= answered:
            by_q = a.by_q + ((t - a.first) * keys + i) * ROW
            do = load(a.do + ((t - a.first) * values + j) * ROW)
            store(by_q, fma(do, s, load(by_q)))
    ds = load(state)
    for t in range(high - 1, low - 1, -1):
        key, value = (t * keys + i) * ROW, (t * values + j) * ROW
        if t >= answered:
            q = load(a.q + ((t - a.first) * keys + i) * ROW)
            ds = fma(q, load(a.do + ((t - a.first) * values + j) * ROW), ds)
        store(a.by_v + value, fma(ds, load(a.k + key), load(a.by_v + value)))
        store(a.by_k + key, fma(ds, load(a.v + value), load(a.by_k + key)))
        ds = ds * load(a.a + key)
        store(a.by_a + key, fma(ds, load(a.work + (t - low) * ROW), load(a.by_a + key)))
    store(state, ds)


KERNELS = dict.fromkeys((gated_forward, gated_backward), numba.void(numba.from_dtype(ARGUMENTS)))


class FusedGated(torch.autograd.Function):
    """As `gated.gated_attention`, in float32 on the CPU."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> tuple[Tensor, Tensor]:
        sizes, arrays = _Sizes(*given), _arrays(given)
        o_LBE = empty(sizes.answered, sizes.batch, sizes.heads * sizes.values)
        last_1BS, before = empty(1, sizes.batch, sizes.numbers), None
        if any(ctx.needs_input_grad):
            before = empty(sizes.blocks, sizes.kept, COLUMNS)
        rows = sizes.rows("q", "k", "v", "a", "o", "state")

        def run(block: int, memory: np.ndarray, _address: int) -> None:
            own = cut(memory, rows)
            for name, array in arrays.items():
                to_block(array, block * COLUMNS, own[name])
            kept = 0 if before is None else before[block].data_ptr()
            gated_forward(sizes.call(own, before=kept))
            out(own["o"], block, o_LBE)
            out(own["state"], block, last_1BS)

        each_cut(run, sizes.blocks, rows)
        ctx.save_for_backward(*given, *([] if before is None else [before]))
        return o_LBE.unflatten(2, (sizes.heads, -1)), last_1BS.view_as(given[4])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *given, before = ctx.saved_tensors
        if not one_gradient(grads):
            return plain_gradients(plain, given, grads)
        sizes, arrays = _Sizes(*given), _arrays(given)
        found = {name: fresh(*t.shape) for name, t in zip(NAMES, given, strict=True)}
        gradients = {"do": _flat(grads[0]), "state": _flat_state(grads[1])}
        of = NAMES[:4]
        by = [f"by_{name}" for name in of]
        rows = sizes.rows(*of, *by, "do", "state") | {"work": (CHUNK, 1)}

        def run(block: int, memory: np.ndarray, _address: int) -> None:
            own = cut(memory, rows)
            for name in of:
                to_block(arrays[name], block * COLUMNS, own[name])
            for name, array in gradients.items():
                put_in_block(array, block * COLUMNS, own[name])
            gated_backward(sizes.call(own, before=before[block].data_ptr()))
            for name in of:
                out(own[f"by_{name}"], block, found[name].flatten(2))
            out(own["state"], block, found["state"].flatten(1).unsqueeze(0))

        each_cut(run, sizes.blocks, rows)
        return tuple(found.values())


NAMES = ("q", "k", "v", "a", "state")


class _Sizes:
    def __init__(self, q: Tensor, k: Tensor, v: Tensor, log_a: Tensor, first: Tensor):
        self.steps, self.batch, self.heads, self.keys = k.shape
        self.answered, self.values = len(q), v.shape[3]
        self.numbers = self.heads * self.keys * self.values
        self.blocks = -(-self.batch // COLUMNS)
        self.kept = -(-self.steps // CHUNK) * self.numbers

    def rows(self, *names: str) -> dict[str, tuple[int, int]]:
        """The shapes of arrays in the memory of a block."""
        keys, values = self.heads * self.keys, self.heads * self.values
        shapes = {
            "q": (self.answered, keys), "k": (self.steps, keys), "a": (self.steps, keys),
            "v": (self.steps, values), "o": (self.answered, values), "state": (1, self.numbers),
            "do": (self.answered, values),
        }  # fmt: skip
        return {name: shapes[name.removeprefix("by_")] for name in names}

    def call(self, own: dict[str, np.ndarray], before: int) -> np.void:
        return filled(
            ARGUMENTS, own, steps=self.steps, first=self.steps - self.answered, heads=self.heads,
            keys=self.keys, values=self.values, before=before,
        )  # fmt: skip


def _arrays(given: Any) -> dict[str, np.ndarray]:
    """What `gated_attention` is given, as the kernel names it; gates for their logarithms."""
    q, k, v, log_a, first = (tensor.detach() for tensor in given)
    arrays = [_flat(q), _flat(k), _flat(v), _flat(log_a.exp()), _flat_state(first)]
    return dict(zip(NAMES, arrays, strict=True))


def _flat(x_TBhd: Tensor) -> np.ndarray:
    """[T, B, D]"""
    return as_array(x_TBhd.flatten(2))


def _flat_state(x_Bhde: Tensor) -> np.ndarray:
    """[1, B, D * e]"""
    return as_array(x_Bhde.flatten(1).unsqueeze(0))
