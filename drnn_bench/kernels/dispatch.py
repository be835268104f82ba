"""The layer scan: recurrent layers over a whole sequence, with any dilation.

    y, state = scan(cell, x_TBI, weights, dilation, state)
    y, states = stack(cell, x_TBI, [weights, ...], [dilation, ...], ...)

compute c_t = f(x_t, c_{t-s}) for s = dilation (Chang et al. 2017, eq. 1), of one layer, and of
layers that each take the outputs of the one below.

Legend: T steps, B batch, I inputs, H units, G gates, s dilation.
cell    = what a step computes (drnn_bench/cells)
weights = of the cell's shapes and in their order, such as (w_ih [G*H, I], w_hh [G*H, H],
          bias [G*H])
state   = a tuple of [s, B, H] tensors, one per state variable of the cell, oldest step first:
          entry j is the state that step j of this call continues. None means zeros.

Three kernels compute the same:
reference  a loop over the steps in plain torch, against which the others are tested
torch      on the reshaped sequence, on any device: torch's own recurrent kernels for the cells that
           it has, a parallel scan for linear cells, for others a loop over the steps of a chain
fused      all gates of a unit in vector registers, forward and backward (CPU, float32), for the
           cells that have it
Device, dtype and shape decide which one runs. DRNN_BENCH_KERNEL, or `forced`, names it instead.
Torch's runs wherever the fused kernel cannot, and where the call is traced or transformed
(`observed`); the reference runs under transforms that torch's kernels do not support (`vmap`).

Every call is checked, whichever kernel runs (`checks`). UserError says in one line what does not
fit.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from drnn_bench.cells.cell import Cell, Fused, State, Weights
from drnn_bench.cells.rnn import RNN
from drnn_bench.kernels import reference, torch_scan
from drnn_bench.kernels.checks import check_clockwork, check_stack
from drnn_bench.kernels.clockwork import scan as clockwork_scan
from drnn_bench.kernels.clockwork import schedule
from drnn_bench.kernels.observed import observed, pointwise, size
from drnn_bench.kernels.settings import forced, note_use, wanted

SHORT = 8  # steps below which a call of the fused kernel costs more than it saves


def scan(
    cell: Cell, x_TBI: Tensor, weights: Weights, dilation: int = 1, state: State | None = None
) -> tuple[Tensor, State]:
    """One layer: the outputs [T, B, H], and the state after the last step."""
    y, states = stack(cell, x_TBI, [weights], [dilation], states=None if state is None else [state])
    return y, states[0]


def stack(
    cell: Cell,
    x_TBI: Tensor,
    weights: Sequence[Weights],
    dilations: Sequence[int],
    rows: Sequence[np.ndarray | None] | None = None,
    last: int | None = None,
    states: Sequence[State] | None = None,
    return_states: bool = True,
) -> tuple[Tensor, list[State]]:
    """Layers that each take the outputs of the one below: the last `last` outputs of the top layer
    [last, B, H], and the state of every layer after the last step.

    x_TBI:         numbers [T, B, I], or symbols [T, B] (int64), which stand for one-hot vectors
    rows:          per layer, the steps of the layer below that it takes (int64; None: all)
    last:          None: all
    states:        per layer, the state before the first step; None: zeros
    return_states: False where no state will be used: the list may then be empty
    Raises UserError where the arguments do not fit one another.
    """
    rows = rows or [None] * len(weights)
    check_stack(cell, x_TBI, weights, dilations, rows, last, states)
    rows = [None if taken is None else np.ascontiguousarray(taken) for taken in rows]
    steps = next((len(r) for r in reversed(rows) if r is not None), size(x_TBI.shape[0]))
    last = steps if last is None else last
    whole = not (return_states or states or cell.reads_last or any(r is not None for r in rows))
    name = _choose(cell, x_TBI, weights, dilations if whole else [1])
    note_use(name)
    if name == "fused":
        from drnn_bench.kernels import folded, fused

        layers = [cell.fused_weights(layer) for layer in weights]
        if whole:
            return folded.stack(cell, x_TBI, layers, dilations, last), []
        return fused.stack(cell, x_TBI, layers, dilations, rows, last, states, return_states)
    run = torch_scan.scan if name == "torch" else reference.scan
    h_TBH, after = one_hot(x_TBI, weights[0][0]), []
    for i, (taken, layer, dilation) in enumerate(zip(rows, weights, dilations, strict=True)):
        if taken is not None:
            h_TBH = h_TBH.index_select(0, torch.from_numpy(taken).to(h_TBH.device))
        h_TBH, state = run(cell, h_TBH, layer, dilation, states[i] if states else None)
        after.append(state)
    return h_TBH[steps - last :], after


def step(cell: Cell, x_1BI: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
    """One step of one layer: the output [1, B, H] and the state after it.

    Computes what `scan` does, but never fused, and without its checks: a net checks its inputs, and
    torch's kernels check theirs.
    """
    if cell.linear:  # a parallel scan would be several times the work
        note_use("torch")
        new = cell.step(cell.project(x_1BI, weights), state, weights)
        return new[0], new
    name = _choose(cell, x_1BI, [weights])
    note_use("torch" if name == "fused" else name)
    run = reference.scan if name == "reference" else torch_scan.scan
    return run(cell, x_1BI, weights, 1, state)


def clockwork(
    x_TBI: Tensor,
    weights: Sequence[Weights],
    periods: tuple[int, ...],
    clock: int,
    hidden: Sequence[Tensor],
    last: int,
) -> tuple[Tensor, list[Tensor]]:
    """The modules of a clockwork RNN (Koutnik et al. 2014), the fastest first: their states after
    the last `last` steps [last, B, sum of H], and after the last step, [B, H] each.

    Module i has the weights of an rnn, and reads the inputs and then the states of all slower
    modules. It starts from hidden[i] [B, H] and fires at the steps that periods[i] divides; the
    first step has the number `clock`.
    Raises UserError where the arguments do not fit one another.
    """
    check_clockwork(x_TBI, weights, periods, clock, hidden, last)
    when = schedule(tuple(periods), clock, int(x_TBI.shape[0]))
    name = _choose(RNN(), x_TBI, weights)
    if name == "fused":
        note_use(name)
        from drnn_bench.kernels import fused_clockwork

        return fused_clockwork.scan(x_TBI, weights, when, hidden, last)
    with forced(name):
        return clockwork_scan(scan, x_TBI, weights, when, hidden, last)


def one_hot(x: Tensor, w_ih: Tensor) -> Tensor:
    """Symbols [...] as one-hot vectors [..., I] for the weights w_ih [G*H, I]; numbers as they
    are."""
    if x.is_floating_point():
        return x
    if torch._C._are_functorch_transforms_active():  # one_hot reads the numbers; vmap forbids it
        places = torch.arange(w_ih.shape[1], device=x.device)
        return (x.unsqueeze(-1) == places).to(w_ih.dtype)
    return torch.nn.functional.one_hot(x, w_ih.shape[1]).to(w_ih.dtype)


def to_compile(model: torch.nn.Module, steps: int) -> list[str]:
    """The fused kernels of a model on sequences of so many steps that are not yet compiled on this
    machine. Compiling takes seconds, once."""
    cells = {getattr(layer, "cell", None) for layer in model.modules()}
    names = {cell.fused.name for cell in cells if isinstance(cell, Cell) and cell.fused}
    long = [layer for layer in model.modules() if steps >= getattr(layer, "fused_steps", 1)]
    own = (getattr(layer, "fused_kernel", None) for layer in long)
    names |= {name for name in own if isinstance(name, str)}
    if not names or wanted() != "auto" or not fused_runs():
        return []
    from drnn_bench.kernels.compiled import is_compiled

    return sorted(name for name in names if not is_compiled(name))


def _choose(
    cell: Cell, x_TBI: Tensor, weights: Sequence[Weights], dilations: Sequence[int] = (1,)
) -> str:
    """`dilations`: of layers whose chains may lie side by side, which those of 1 cannot."""
    name = wanted()
    steps, batch, *_ = x_TBI.shape
    if pointwise():
        return "reference"
    if name in ("reference", "torch"):
        return name
    if cell.fused is None or x_TBI.device.type != "cpu" or weights[0][0].dtype != torch.float32:
        return "torch"
    tensors = [x_TBI, *(w for layer in weights for w in layer)]
    if observed(tensors):
        return "torch"
    if (name == "auto" and steps < SHORT) or not fused_runs():
        return "torch"
    if name == "fused":
        return name
    trained = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    units, filled = max(map(cell.units, weights)), _filled(steps, batch, dilations)
    return "fused" if _pays(cell.fused, units, filled, trained) else "torch"


def _pays(fused: Fused, units: int, filled: float, trained: bool) -> bool:
    training, inference = next(least for most, *least in fused.pays if units <= most)
    return filled >= (training if trained else inference)


def _filled(steps: int, batch: int, dilations: Sequence[int]) -> float:
    """The share of the blocks' columns that sequences fill, on average over the work."""
    from drnn_bench.kernels import folded
    from drnn_bench.kernels.registers import COLUMNS

    chains = folded.folds(dilations, steps, batch)
    return batch * len(chains) / (COLUMNS * sum(folded.work(batch, n) for n in chains))


def allows_fused(tensors: Sequence[Tensor]) -> bool:
    """Whether a fused kernel may compute with these tensors: float32 on the CPU, where no other
    kernel is named and nothing observes the call."""
    plain = all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
    named = wanted() in ("reference", "torch")
    return plain and not named and not observed(tensors) and fused_runs()


@lru_cache
def fused_runs() -> bool:
    """Whether this machine can run the fused kernels; prints once why it cannot."""
    try:
        from drnn_bench.kernels.registers import SUPPORTED
    except ImportError as error:
        why = f"Numba is missing ({error})"
    else:
        if SUPPORTED:
            return True
        why = "this processor has neither AVX-512 nor AVX2"
    print(f"layers run on torch's kernels, several times slower: {why}", file=sys.stderr)
    return False
