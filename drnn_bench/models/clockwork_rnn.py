"""Clockwork RNN (Koutnik, Greff, Gomez, Schmidhuber, ICML 2014, arXiv 1402.3511).

One hidden layer in `modules` modules; module i has period T_i = base^i. It is recomputed at the
steps that T_i divides and keeps its state at the others; all modules fire at t = 0. A module
reads modules of its own or a longer period, never a shorter one:

    h_i(t) = tanh(W_i x_t + b_i + sum_{T_j >= T_i} U_ij h_j(t-1))   where t mod T_i = 0.

So the modules can run one after another, the slowest first (kernels/clockwork.py), and each
computes only the steps at which it fires, as in the paper. With n units in g equal modules of k
units, the layer has n*I + k^2*g(g+1)/2 + n parameters; the output layer comes to that.

Legend: B batch, T steps, I inputs, H units of a module, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from drnn_bench import kernels
from drnn_bench.cells.rnn import RNN
from drnn_bench.errors import UserError
from drnn_bench.models.architecture import (
    Architecture,
    Paths,
    at_least,
    max_levels,
    one_of,
)
from drnn_bench.models.cost import FLOAT
from drnn_bench.models.layers import CausalHead, RecurrentLayer


@dataclass(frozen=True, kw_only=True)
class ClockworkRNN(Architecture):
    """`width` counts the units of the whole layer. Where `modules` does not divide it, the fastest
    modules have one unit more."""

    base: int = 2
    modules: int = 8
    init: str = "orthogonal"

    family: ClassVar[str] = "clockwork_rnn"

    def __post_init__(self) -> None:
        at_least("base", self.base, 2)
        at_least("modules", self.modules, 1)
        one_of("init", self.init, ("orthogonal", "identity"))
        super().__post_init__()
        if sum(self.widths) < self.modules:
            raise UserError(f"width must be at least modules = {self.modules}: a unit in each")

    @property
    def layers(self) -> int:
        return 1

    @property
    def periods(self) -> tuple[int, ...]:
        return tuple(self.base**i for i in range(self.modules))

    @property
    def units(self) -> tuple[int, ...]:
        """Units per module, fastest first."""
        share, over = divmod(sum(self.widths), self.modules)
        return tuple(share + (i < over) for i in range(self.modules))

    @property
    def longest_span(self) -> int:
        return max(self.periods)

    @property
    def period(self) -> int:
        return max(self.periods)

    @property
    def paths(self) -> Paths:
        # An input enters only the modules that fire at its step. At the worst steps that is only
        # the fastest, which no slower module reads: from there every step of a span costs one edge.
        return Paths(1, (1,))

    @property
    def recurrent_edges_per_node(self) -> float:
        """The paper's N_r (Chang et al. 2017), with modules as nodes: edges into the modules that
        fire, over one period of the graph, per firing."""
        fires = [self.period // period for period in self.periods]
        blocks = range(self.modules, 0, -1)
        return sum(f * b for f, b in zip(fires, blocks, strict=True)) / sum(fires)

    def sequential_steps(self, length: int) -> int:
        return sum(-(-length // period) for period in self.periods)

    @property
    def macs_per_step(self) -> float:
        """Module i computes one step in `periods[i]`."""
        units = self.units
        firings = (
            own * (self.inputs + sum(units[i:])) / period
            for i, (own, period) in enumerate(zip(units, self.periods, strict=True))
        )
        return sum(firings) + sum(units) * self.output_size

    @property
    def state_bytes(self) -> int:
        return FLOAT * sum(self.units)

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The longest period stays below the sequence length."""
        levels = max_levels(options.get("base", cls.base), length)
        return {} if levels is None else {"modules": levels}

    def network(self) -> ClockworkLayer:
        return ClockworkLayer(self)


class ClockworkLayer(nn.Module):
    """The hidden layer and the output layer; the interface is that of `SequenceModel`."""

    def __init__(self, architecture: ClockworkRNN):
        super().__init__()
        self.periods, self.units = architecture.periods, architecture.units
        # Module i reads the input, every slower module and its own state.
        layers = [
            RecurrentLayer(
                "rnn",
                architecture.input_size + sum(self.units[i + 1 :]),
                units,
                init=architecture.init,
            )
            for i, units in enumerate(self.units)
        ]
        self.modules_ = cast("Sequence[RecurrentLayer]", nn.ModuleList(layers))
        self.head = CausalHead(sum(self.units), architecture.output_size)

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        length = kernels.size(x_BTI.shape[1])
        if kernels.symbolic(length):
            return self._walked(x_BTI, length if last is None else last)
        return self._run(x_BTI, length if last is None else last, 0, None)[0]

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits (B, T, O) of the next T steps of a sequence, and the state after them."""
        clock, hidden = state or (0, None)
        return self._run(x_BTI, x_BTI.shape[1], clock, hidden)

    def plain_step(
        self, x_B1I: Tensor, clock: Tensor, *hidden: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See models/plain_step.py: the number of steps so far modulo the longest period [1], and
        the hidden state [B, H] of every module."""
        after = self._tick(x_B1I[:, 0], self._firing(clock)[0], hidden)
        y_1BO = self.head(torch.cat(after, 1).unsqueeze(0), 1)
        return y_1BO.transpose(0, 1), ((clock + 1) % max(self.periods), *after)

    def plain_state(self, batch: int) -> dict[str, Tensor]:
        like = self.head.weight
        modules = enumerate(self.units, 1)
        return {
            "clock": torch.zeros(1, dtype=torch.int64, device=like.device),
            **{f"module_{i}": like.new_zeros(batch, units) for i, units in modules},
        }

    def _firing(self, step_T: Tensor) -> Tensor:
        """Which modules fire at steps of these numbers, [T, modules]."""
        return step_T.unsqueeze(1) % torch.tensor(self.periods, device=step_T.device) == 0

    def _tick(self, x_BI: Tensor, fires: Tensor, hidden: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The hidden states after a step. `fires` says which modules fire at it."""
        cell, after = RNN(), []
        for i, (module, old) in enumerate(zip(self.modules_, hidden, strict=True)):
            from_x = cell.project(torch.cat([x_BI, *hidden[i + 1 :]], 1), module.weights)
            (new,) = cell.step(from_x, (old,), module.weights)
            after.append(torch.where(fires[i], new, old))
        return tuple(after)

    def _walked(self, x_BTI: Tensor, last: int) -> Tensor:
        """`forward` where the length is a symbol: all modules at all steps, one after another."""
        x_TBI = x_BTI.transpose(0, 1)
        fires = self._firing(torch.arange(x_TBI.shape[0], device=x_BTI.device))
        hidden = tuple(x_BTI.new_zeros(x_BTI.shape[0], units) for units in self.units)

        def step(hidden: tuple[Tensor, ...], given: tuple) -> tuple[tuple[Tensor, ...], Tensor]:
            x_BI, fires = given
            after = self._tick(x_BI, fires, hidden)
            return after, torch.cat(after, 1)

        _, h_TBH = kernels.over_steps(step, hidden, (x_TBI, fires))
        return self.head(h_TBH, last).transpose(0, 1)

    def _run(
        self, x_BTI: Tensor, last: int, clock: int, hidden: list[Tensor] | None
    ) -> tuple[Tensor, Any]:
        """Logits (B, last, O), and the state after the last step: the number of steps so far modulo
        the longest period (`clock`), and the hidden state [B, H] of every module."""
        x_TBI = x_BTI.transpose(0, 1)
        length, batch, _ = x_TBI.shape
        if hidden is None:
            hidden = [x_TBI.new_zeros(batch, units) for units in self.units]
        weights = [module.weights for module in self.modules_]
        out, after = kernels.clockwork(x_TBI, weights, self.periods, clock, hidden, last)
        y_TBO = self.head(out, last)
        return y_TBO.transpose(0, 1), ((clock + length) % max(self.periods), after)
