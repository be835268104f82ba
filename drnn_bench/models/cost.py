"""What a net costs where it runs: multiply-accumulates a step, its state, its weights.

MACs a step: products of a weight with a number of the sequence that is added to a sum, for one more
step of one sequence when every step is answered, head included; the mean over a period where steps
differ. A product of complex numbers counts four, of a complex and a real one two. Not counted:
activation functions, the products of gates, and what follows from the weights alone (a
discretisation, a weight norm), which is computed once. A symbol counts as its one-hot vector; the
table of an embedding is looked up, which costs none. Attention's products of queries with keys, and
of its weights with values, count as matrix products do. So do the products by which linear
attention and selective state spaces write to their states and read from them; their decay is a
gate.

State bytes: what `stream` carries from one step to the next for one sequence, in float32: the last
s states of a layer that looks s steps back, the taps of convolutions, the keys and values of
attention.

Attention without a window costs more at each step than at the one before: its MACs are the mean
over a sequence of some length, its state what is held after it. Without a length it has neither.

Weight bytes: the parameters and persistent buffers of the built net, as an export holds them.

Legend: I inputs of a layer, H its units.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drnn_bench.cells.cell import Cell
    from drnn_bench.models.architecture import Architecture

FLOAT = 4  # bytes of a number in float32


def cost(architecture: Architecture, length: int | None = None) -> dict[str, Any]:
    """The three costs by the names that records and boards give them, over sequences of `length`
    steps. None: a plug-in's family does not say, or the cost needs a length."""
    macs, state = architecture.macs_per_step, architecture.state_bytes
    if length is not None:
        macs = architecture.macs_per_step_over(length)
        state = architecture.state_bytes_after(length)
    return {
        "macs_per_step": macs,
        "state_bytes": state,
        "weight_bytes": weight_bytes(architecture),
    }


@lru_cache(maxsize=65536)
def weight_bytes(architecture: Architecture) -> int:
    """Bytes of the built net's parameters and persistent buffers; of one that it has under two
    names, once."""
    from drnn_bench.models.blank import blank

    tensors = blank(architecture).state_dict(keep_vars=True).values()
    return sum(tensor.nbytes for tensor in {id(tensor): tensor for tensor in tensors}.values())


def stack_macs(net: Architecture, cell: Cell, kernel: int = 1) -> int:
    """MACs a step of a stack of layers of one cell, and its head of `kernel` taps."""
    macs, inputs = 0, net.inputs
    for units in net.widths:
        macs += cell.macs(inputs, units)
        inputs = units
    return macs + kernel * inputs * net.output_size


def stack_state(net: Architecture, cell: Cell, back: Sequence[int], kernel: int = 1) -> int:
    """State bytes of a stack of layers of one cell, each with its last `back` steps, and of the
    inputs that the head's older taps read."""
    held = sum(cell.states * units * steps for units, steps in zip(net.widths, back, strict=True))
    return FLOAT * (held + (kernel - 1) * net.widths[-1])
