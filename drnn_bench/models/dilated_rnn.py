"""Dilated recurrent neural network (Chang et al., NIPS 2017, arXiv 1710.02224).

Layer l computes c_t = f(x_t, c_{t-s}) with s = base^(l-1+start). There is no edge from t-1, so a
layer is s interleaved chains that run side by side, and the stack takes about 2*T/base^start
sequential steps instead of depth*T (section 2). With start > 0 no path crosses spans below
base^start; `fusion`, the paper's final 1-by-base^start convolution, restores them (section 2.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from drnn_bench.cells.registry import find_cell
from drnn_bench.errors import UserError
from drnn_bench.models.architecture import (
    Architecture,
    Paths,
    at_least,
    max_levels,
)
from drnn_bench.models.cost import stack_macs, stack_state
from drnn_bench.models.layers import RecurrentStack, check_init, recurrent_stack


@dataclass(frozen=True, kw_only=True)
class DilatedRNN(Architecture):
    """base M, depth L and start l0 give the dilations M^(l-1+l0), l = 1..L. `dilations` lists them
    instead, from the lowest layer up. `cell` is one of cells/names.py, or of a plug-in."""

    cell: str = "gru"
    base: int = 2
    start: int = 0
    depth: int = 9
    fusion: bool = False
    dilations: tuple[int, ...] | None = None
    init: str = "orthogonal"
    memory: int | None = None  # steps; of init=chrono

    family: ClassVar[str] = "dilated_rnn"

    def __post_init__(self) -> None:
        check_init(find_cell(self.cell), self.init, self.memory)
        if self.dilations is not None:
            self._take_list(self.dilations)
        at_least("base", self.base, 1)
        at_least("depth", self.depth, 1)
        at_least("start", self.start, 0)
        if not isinstance(self.fusion, bool):
            raise UserError(f"fusion is true or false, got {self.fusion!r}")
        if self.fusion and self.kernel == 1:
            raise UserError("fusion needs a first dilation above 1: a 1-by-1 convolution is none")
        super().__post_init__()

    def _take_list(self, dilations: Iterable[int]) -> None:
        """Checks the listed dilations, and sets the depth to their number."""
        dilations = tuple(dilations)
        object.__setattr__(self, "dilations", dilations)
        if not dilations:
            raise UserError("dilations needs at least one entry")
        for dilation in dilations:
            at_least("dilations", dilation, 1)
        allowed = {"base": (2,), "start": (0,), "depth": (9, len(dilations))}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise UserError(f"give either dilations or base, start and depth (here {name})")
        object.__setattr__(self, "depth", len(dilations))

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        if self.dilations is not None:
            return self.dilations
        return tuple(self.base ** (level + self.start) for level in range(self.depth))

    @property
    def kernel(self) -> int:
        """Taps of the output layer: the first dilation with fusion, else 1."""
        return self.layer_dilations[0] if self.fusion else 1

    @property
    def options(self) -> dict[str, Any]:
        options = super().options
        if self.dilations is not None:
            for name in ("base", "start", "depth"):
                del options[name]
        return options

    @property
    def period(self) -> int:
        return max(self.layer_dilations)

    @property
    def paths(self) -> Paths:
        windows = (tuple(range(self.kernel)),) if self.fusion else ()
        return Paths(self.depth + len(windows), tuple(sorted(set(self.layer_dilations))), windows)

    @property
    def recurrent_edges_per_node(self) -> float:
        return 1.0

    def sequential_steps(self, length: int) -> int:
        cell = find_cell(self.cell)
        return sum(cell.sequential_steps(-(-length // s)) for s in self.layer_dilations)

    @property
    def macs_per_step(self) -> int:
        return stack_macs(self, find_cell(self.cell), self.kernel)

    @property
    def state_bytes(self) -> int:
        return stack_state(self, find_cell(self.cell), self.layer_dilations, self.kernel)

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """The largest dilation stays below the sequence length; start leaves room for two
        layers."""
        base, start = options.get("base", cls.base), options.get("start", cls.start)
        levels = max_levels(base, length)
        if levels is None:
            return {}
        return {"start": max(0, levels - 2), "depth": levels - start}

    def network(self) -> RecurrentStack:
        return recurrent_stack(
            self.cell,
            self.input_size,
            self.widths,
            self.layer_dilations,
            self.output_size,
            self.kernel,
            self.init,
            self.memory,
        )
