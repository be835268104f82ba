"""Recurrent layers as ONNX has them: GRU, LSTM and RNN are operators of its own.

Within `emitted`, where the length is a symbol, a layer of one of these cells becomes one operation
of a domain of ours. `function` gives its meaning as a function of ONNX, which whoever exports puts
in its place (export/onnx/convert.py). The steps of a dilated layer are chains side
by side, as in `torch_scan`; zeros fill the last round.

Legend: T steps, B batch, I inputs, H units, G gates, s dilation, R steps of a chain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, Weights

DOMAIN, OPSET = "drnn_bench", 20  # ours; and the version of ONNX's operators
# cell -> operator of ONNX, its options, and its gates in its own order, as places among torch's
OPERATORS = {
    "rnn": ("RNN", "hidden_size: int = @units", (0,)),
    "gru": ("GRU", "hidden_size: int = @units, linear_before_reset: int = 1", (1, 0, 2)),
    "lstm": ("LSTM", "hidden_size: int = @units", (0, 3, 1, 2)),
}


_emitted: list[bool] = []


@contextlib.contextmanager
def emitted() -> Iterator[None]:
    """Within it, layers become our operations."""
    _emitted.append(True)
    try:
        yield
    finally:
        _emitted.pop()


def has_operator(cell: Cell) -> bool:
    """Whether a layer of the cell becomes our operation here. A plug-in's cell of the same name is
    another."""
    ours = type(cell).__module__ == f"drnn_bench.cells.{cell.name}"
    return bool(_emitted) and ours and cell.name in OPERATORS


def layer(cell: Cell, x_TBI: Tensor, weights: Weights, dilation: int) -> Tensor:
    """The outputs [T, B, H] from a state of zeros."""
    units = cell.units(weights)
    return torch.onnx.ops.symbolic(
        f"{DOMAIN}::{cell.name}",
        (x_TBI, *weights),
        {"dilation": dilation, "units": units},
        dtype=x_TBI.dtype,
        shape=(*x_TBI.shape[:2], units),
        version=1,
    )


def function(name: str) -> str:
    """What the operation of a cell means, as ONNX's text of a function."""
    operator, options, order = OPERATORS[name]
    return f"""
<opset_import: ["" : {OPSET}], domain: "{DOMAIN}">
{name} <dilation, units> (x, w, r, b) => (y)
{{
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    free = Constant <value_ints = [-1]> ()
    around = Constant <value_ints = [0, 0, 0]> ()
    behind = Constant <value_ints = [0, 0]> ()
    s_none = Constant <value_int: int = @dilation> ()
    s = Reshape (s_none, one)
    steps = Shape <start = 0, end = 1> (x)
    batch = Shape <start = 1, end = 2> (x)
    inputs = Shape <start = 2, end = 3> (x)
    before = Sub (s, one)
    up = Add (steps, before)
    rounds = Div (up, s)
    filled = Mul (rounds, s)
    missing = Sub (filled, steps)
    pads = Concat <axis = 0> (around, missing, behind)
    x_filled = Pad (x, pads)
    as_chains = Concat <axis = 0> (rounds, free, inputs)
    x_chains = Reshape (x_filled, as_chains)
    {_in_order("w", order)}
    {_in_order("r", order)}
    {_in_order("b", order)}
    w_1 = Unsqueeze (w_ordered, zero)
    r_1 = Unsqueeze (r_ordered, zero)
    b_zero = Sub (b_ordered, b_ordered)
    b_both = Concat <axis = 0> (b_ordered, b_zero)
    b_1 = Unsqueeze (b_both, zero)
    y_chains, last = {operator} <{options}> (x_chains, w_1, r_1, b_1)
    y_flat = Squeeze (y_chains, one)
    units_of = Shape <start = 2, end = 3> (y_flat)
    as_all = Concat <axis = 0> (filled, batch, units_of)
    y_all = Reshape (y_flat, as_all)
    y = Slice (y_all, zero, steps, zero)
}}
"""


def _in_order(name: str, order: tuple[int, ...]) -> str:
    """The gates of a weight in ONNX's order."""
    if len(order) == 1:
        return f"{name}_ordered = Identity ({name})"
    gates, ordered = (
        ", ".join(f"{name}{gate}" for gate in places) for places in (range(len(order)), order)
    )
    return (
        f"{gates} = Split <axis = 0, num_outputs = {len(order)}> ({name})\n"
        f"    {name}_ordered = Concat <axis = 0> ({ordered})"
    )
