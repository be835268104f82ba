"""The base of every cell: c_t = f(x_t, c_{t-s}), what one unit of time of a recurrent layer is.

A cell is a frozen object without numbers of its own: weights and states are given to it. It says
its gates, its states, the shapes of its weights, how they begin, and what a step computes. Whoever
walks it over a sequence, with any dilation s, is `kernels`.

Legend: R steps, N sequences side by side, I inputs, H units, G gates; leading axes `..` are free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import linear

from drnn_bench.cells import inits
from drnn_bench.cells.names import CELL
from drnn_bench.errors import UserError
from drnn_bench.plugins import Extension, Kind

State = tuple[Tensor, ...]  # one [.., H] for each state variable; the first is the output
Weights = tuple[Tensor, ...]  # in the order of `Cell.shapes`


Shares = tuple[tuple[float, float, float], ...]
BESIDE_A_LOOP: Shares = ((32, 0, 0), (64, 0.25, 0.25), (math.inf, 0.5, 0.5))
BESIDE_TORCHS_OWN: Shares = (
    (20, 0, 0.05), (32, 0.05, 0.25), (64, 0.065, 0.5), (math.inf, 0.65, 0.65)
)  # fmt: skip


@dataclass(frozen=True)
class Fused:
    """The fused kernel of a cell (kernels/fused_cells.py).

    name:        its entry in KERNELS there
    gates, work: rows that it needs for each unit, of what backward reads and of gate gradients
    pays:        (units, share in training, share in inference): for up to so many units, it is
                 faster than torch's path where the sequences fill at least this share of its
                 blocks' columns (benchmarks/scale.py). Few sequences need more where torch has a
                 kernel of its own than where it loops over the steps
    """

    name: str
    gates: int
    work: int
    pays: Shares = BESIDE_A_LOOP


@dataclass(frozen=True)
class Cell(Extension):
    """A subclass defines `name`, `summary`, `gates`, and `step` or, where the new state is linear
    in the old one, `coefficients`.

    gates:      how many [H, I] matrices read the inputs
    states:     how many state variables a unit has; the first is the output
    inits:      the initialisations that it has, of `inits.INITS`
    fused:      its fused kernel; None: torch's path alone
    reads_last: a step reads the state of the step before too (the skip cell): `step` gets both, the
                one of s steps ago first
    """

    kind_of_extension: ClassVar[Kind] = CELL

    name: ClassVar[str]
    summary: ClassVar[str]  # one line for `bench ls cells`
    gates: ClassVar[int]
    states: ClassVar[int] = 1
    inits: ClassVar[tuple[str, ...]] = ("orthogonal", "uniform")
    fused: ClassVar[Fused | None] = None
    reads_last: ClassVar[bool] = False

    @classmethod
    def check_class(cls, where: str) -> None:
        for label in ("gates", "states"):
            value = getattr(cls, label)
            if type(value) is not int or value < 1:
                raise UserError(f"{where}: {label} = {value!r} must be a whole number from 1 up")
        for init in cls.inits:
            if init not in inits.INITS:
                known = ", ".join(inits.INITS)
                raise UserError(f"{where}: inits has {init!r}, which is none of {known}")
        if "orthogonal" not in cls.inits:
            raise UserError(f"{where}: inits lacks 'orthogonal', which is the default")

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """The weights by the names that a layer gives its parameters. The first is that of the
        inputs, [G*H, I]; the last is the bias."""
        rows = self.gates * units
        return {"w_ih": (rows, inputs), "w_hh": (rows, units), "bias": (rows,)}

    def initialise(self, weights: Weights, init: str, memory: float | None = None) -> None:
        """Fills the weights, without gradients. `init` is one of `inits`; `memory` is T in steps of
        the layer, of chrono alone."""
        units = self.units(weights)
        if init == "uniform":
            inits.uniform(weights, units)
        else:
            inits.orthogonal(weights, units)

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        """What of a step depends on the inputs alone, for all steps at once: [.., G*H] of
        x [.., I]."""
        return linear(x, weights[0], weights[-1])

    def step(self, from_x: Tensor, state: State, weights: Weights) -> State:
        """The new state. from_x [.., G*H] is what `project` gives of the step's inputs."""
        decay, new = self.coefficients(from_x, weights)
        return (torch.addcmul(new, decay, state[0]),)

    def coefficients(self, from_x: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
        """Of a cell with one state variable, h_t = a h_{t-s} + b: a and b [.., H]. A layer is then
        a parallel scan."""
        raise NotImplementedError(f"{self.name} is not linear in its state")

    def scan(self, x_RNI: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
        """The outputs [R, N, H] of R steps, and the state [N, H] after them: here a loop. A cell
        for which torch has a kernel calls it instead."""
        outputs = []
        for from_x in self.project(x_RNI, weights).unbind():
            state = self.step(from_x, state, weights)
            outputs.append(state[0])
        return torch.stack(outputs), state

    def fused_weights(self, weights: Weights) -> Weights:
        """The weights as the fused kernel takes them: w_ih, w_hh, bias."""
        return weights

    # -- facts that follow ---------------------------------------------------------------------

    @property
    def linear(self) -> bool:
        """Whether a layer is a parallel scan."""
        return type(self).coefficients is not Cell.coefficients

    def units(self, weights: Weights) -> int:
        return weights[0].shape[0] // self.gates

    def macs(self, inputs: int, units: int) -> int:
        """Multiply-accumulates of a step (models/cost.py): every weight but the bias is multiplied
        once."""
        *shapes, _ = self.shapes(inputs, units).values()
        return sum(map(math.prod, shapes))

    def sequential_steps(self, steps: int) -> int:
        """How many steps of the computation must follow one another for a chain of `steps` steps:
        of a parallel scan log2, rounded up."""
        return max(1, math.ceil(math.log2(steps))) if self.linear else steps
