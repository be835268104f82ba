"""What a call of the kernels must be, so that none reads or writes outside its arrays.

The fused kernels trust the addresses that they are given, and torch's kernels broadcast where
shapes do not fit. So every call of `scan`, `stack` and `clockwork` is checked here, whichever
kernel runs.

Legend: T steps, B batch, I inputs, H units, G gates, s dilation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, Weights
from drnn_bench.cells.rnn import RNN
from drnn_bench.errors import UserError
from drnn_bench.kernels.observed import numbers, observed


def check_stack(
    cell: Cell,
    x_TBI: Tensor,
    weights: Sequence[Weights],
    dilations: Sequence[int],
    rows: Sequence[np.ndarray | None],
    last: int | None,
    states: Sequence[Sequence[Tensor]] | None,
) -> None:
    """The arguments of `dispatch.stack`. Raises UserError, one line, where they do not fit one
    another."""
    if not isinstance(cell, Cell):
        raise UserError(f"a kernel takes a cell, an object such as GRU(), got {cell!r}")
    if not weights:
        raise UserError("a stack has at least one layer, got none")
    for name, entries in (("dilations", dilations), ("rows", rows), ("states", states)):
        if entries is not None and len(entries) != len(weights):
            raise UserError(
                f"{name} has {len(entries)} entries, the stack has {len(weights)} layers"
            )
    sample = weights[0][0]
    _check_input(x_TBI, sample, symbols=True)
    steps, batch, *inputs = x_TBI.shape
    below = inputs[0] if inputs else sample.shape[-1]
    for i, (layer, dilation, taken) in enumerate(zip(weights, dilations, rows, strict=True), 1):
        where = f"layer {i} of {cell.name}"
        _check_weights(where, cell, layer, below, sample)
        check_count(f"{where}: the dilation", dilation)
        steps = _check_rows(where, taken, steps)
        below = cell.units(layer)
        if states is not None:
            shapes = ((dilation, batch, below),) * cell.states
            _check_shapes(f"{where}: state", dict(enumerate(states[i - 1])), shapes, sample)
    if last is not None:
        check_count("last", last, steps)
    if not inputs:
        check_symbols(x_TBI, sample.shape[1], "weights")


def check_clockwork(
    x_TBI: Tensor,
    weights: Sequence[Weights],
    periods: Sequence[int],
    clock: int,
    hidden: Sequence[Tensor],
    last: int,
) -> None:
    """The arguments of `dispatch.clockwork`. Raises UserError as `check_stack` does."""
    if not len(weights) == len(periods) == len(hidden) >= 1:
        counts = f"{len(weights)} weights, {len(periods)} periods, {len(hidden)} hidden states"
        raise UserError(f"a clockwork has as many of each as modules, got {counts}")
    sample = weights[0][0]
    _check_input(x_TBI, sample, symbols=False)
    steps, batch, below = x_TBI.shape
    for i in reversed(range(len(weights))):
        where = f"module {i + 1}"
        _check_weights(where, RNN(), weights[i], below, sample)
        check_count(f"{where}: the period", periods[i])
        units = weights[i][0].shape[0]
        _check_shapes(where, {"hidden": hidden[i]}, [(batch, units)], sample)
        below += units
    if type(clock) is not int or clock < 0:
        raise UserError(f"clock must be a whole number of at least 0, got {clock!r}")
    check_count("last", last, steps)


def check_count(name: str, value: Any, most: int | None = None) -> None:
    """A whole number from 1 up, to `most` where that is given."""
    whole = isinstance(value, int | np.integer | torch.SymInt) and not isinstance(value, bool)
    if not whole or value < 1 or (most is not None and value > most):
        bound = "of at least 1" if most is None else f"from 1 to {most}"
        raise UserError(f"{name} must be a whole number {bound}, got {value!r}")


def one_gradient(gradients: Sequence[Tensor | None]) -> bool:
    """Whether one gradient of numbers is asked for: not a batch of them (`is_grads_batched`), nor
    one to be differentiated again (`create_graph`)."""
    tensors = [grad for grad in gradients if grad is not None]
    try:
        for grad in tensors:
            grad.data_ptr()
    except RuntimeError:  # a batch of gradients
        return False
    return not observed(tensors) and not torch.is_grad_enabled()


def plain_gradients(
    compute: Callable, given: Sequence[Tensor], grads: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """The gradients of `compute(*given)`, which has plain operations: also a batch of gradients,
    and such as are differentiated again."""
    trained, again = [t for t in given if t.requires_grad], torch.is_grad_enabled()
    with torch.enable_grad():
        answers = compute(*given)
    found = iter(torch.autograd.grad(answers, trained, grads, create_graph=again))
    return tuple(next(found) if tensor.requires_grad else None for tensor in given)


def check_gradients(*gradients: Tensor | None) -> None:
    """Raises UserError where the fused kernels cannot compute what is asked for."""
    if not one_gradient(gradients):
        raise UserError(
            "the fused kernels give one gradient at a time, which cannot be differentiated again: "
            'run the net within `drnn_bench.kernels.forced("torch")`'
        )


def check_symbols(x_BT: Tensor, count: int, owner: str) -> None:
    """Symbols must lie in 0 .. count - 1. While a call is traced, its tensors may hold no numbers:
    then nothing is checked."""
    symbols_BT = numbers(x_BT)
    if symbols_BT is None:
        return
    single = symbols_BT.numel() == 1
    low, high = map(int, (symbols_BT, symbols_BT) if single else torch.aminmax(symbols_BT))
    if low < 0 or high >= count:
        wrong = low if low < 0 else high
        raise UserError(f"{owner} takes symbols from 0 to {count - 1}, got {wrong}")


def _check_input(x: Tensor, sample: Tensor, symbols: bool) -> None:
    whole = symbols and x.dtype is torch.int64 and x.dim() == 2
    if not whole and (x.dim() != 3 or x.dtype != sample.dtype):
        accepted = f"(steps, batch, inputs) of {sample.dtype}, as the weights are"
        accepted += ", or symbols (steps, batch) of torch.int64" * symbols
        raise UserError(f"a kernel takes {accepted}; got {x.dtype} of shape {tuple(x.shape)}")
    if 0 in x.shape[:2]:
        steps, batch = x.shape[:2]
        raise UserError(f"a kernel takes at least one step and one sequence, got {steps}, {batch}")
    if x.device != sample.device:
        raise UserError(f"the weights are on {sample.device}, the inputs on {x.device}")


def _check_weights(where: str, cell: Cell, layer: Weights, below: int, sample: Tensor) -> None:
    units = cell.units(layer) if layer and layer[0].dim() == 2 else 0
    shapes = cell.shapes(below, units)
    if len(layer) != len(shapes) or units < 1:
        got = ", ".join(str(tuple(w.shape)) for w in layer)
        raise UserError(f"{where}: the weights are {', '.join(shapes)}, got the shapes {got}")
    _check_shapes(where, dict(zip(shapes, layer, strict=True)), [*shapes.values()], sample)


def _check_shapes(
    where: str, tensors: dict, shapes: Sequence[tuple[int, ...]], sample: Tensor
) -> None:
    """Each tensor must have its shape, be dense, and have the sample's dtype and device."""
    if len(tensors) != len(shapes):
        raise UserError(f"{where}: {len(shapes)} tensors are wanted, got {len(tensors)}")
    for (name, tensor), shape in zip(tensors.items(), shapes, strict=True):
        if tensor.shape != shape:
            raise UserError(f"{where}: {name} has shape {tuple(tensor.shape)}, not {tuple(shape)}")
        if tensor.dtype != sample.dtype or tensor.device != sample.device:
            got, others = f"{tensor.dtype} on {tensor.device}", f"{sample.dtype} on {sample.device}"
            raise UserError(f"{where}: {name} is {got}, the first weight is {others}")
        if tensor.layout is not torch.strided:
            raise UserError(f"{where}: {name} is {tensor.layout}, not a dense tensor")


def _check_rows(where: str, taken: np.ndarray | None, steps: int) -> int:
    """Returns how many steps of the layer below are taken."""
    if taken is None:
        return steps
    whole = isinstance(taken, np.ndarray) and taken.ndim == 1 and taken.dtype == np.int64
    if not whole or not len(taken):
        raise UserError(f"{where}: rows must be an array of int64, at least one")
    if taken.min() < 0 or taken.max() >= steps:
        wrong = taken.min() if taken.min() < 0 else taken.max()
        raise UserError(f"{where}: rows are steps from 0 to {steps - 1}, got {wrong}")
    return len(taken)
