"""The base of every family's architecture: its sizes, its widths, and the edges of its theory.

An architecture describes a network completely: `architecture.build()` makes the module, mean
recurrent length follows from `architecture.paths`. Its `config` is the same as a dict of JSON
values. Nothing here needs data or training.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar

from drnn_bench.errors import UserError, nearest
from drnn_bench.models.names import FAMILY, GROUPS
from drnn_bench.plugins import Extension, Kind
from drnn_bench.tasks.task import LONGEST

if typing.TYPE_CHECKING:
    from torch import nn

    from drnn_bench.models.inputs import Net


LARGEST = 10_000_000  # bound of any number in an architecture: a larger one is a typing error

# The bounds of particular numbers: how many parts a net has, how far back it looks.
MOST = {
    "depth": 256,
    "heads": 1_000,
    "ratio": 1_000,
    "expand": 1_000,
    "window": LONGEST,
    "modules": 256,
    "kernel": 1_000,
    "states": 100_000,
    "dilations": LONGEST,
    "skip": LONGEST,
    "budget": 10_000_000_000,
}


@dataclass(frozen=True)
class Paths:
    """The edges by which an input reaches a later output, for shortest paths.

    edges:   feed-forward edges on every path (the depth; a fusion layer adds one).
    spans:   recurrent edges, as the number of steps that each crosses. A path may use each any
             number of times, at cost 1. Where the edges differ between start times, those of the
             worst start.
    windows: per convolution or attention, how many steps back its one feed-forward edge may reach;
             None: all steps before.
    """

    edges: int
    spans: tuple[int, ...] = ()
    windows: tuple[Sequence[int] | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Architecture(Extension):
    """Base of the families' architectures: frozen, hashable, checked when they are made.

    input_size:  channels of the inputs, or how many symbols there are
    output_size: classes
    width:       units of every layer, or a tuple with one number per layer
    embedding:   size of a learned vector for each input symbol; None: inputs as they are
    Raises UserError where an option is out of bounds.
    """

    kind_of_extension: ClassVar[Kind] = FAMILY

    input_size: int
    output_size: int
    width: int | tuple[int, ...]
    embedding: int | None = None

    family: ClassVar[str]
    summary: ClassVar[str]  # of a plug-in: one line for `bench ls families`
    family_group: ClassVar[str | None] = None  # of a plug-in: one of GROUPS in models/names.py
    equal_widths: ClassVar[bool] = False  # residual families: every layer must have one width
    smallest_width: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name in ("input_size", "output_size"):
            at_least(name, getattr(self, name), 1)
        if self.embedding is not None:
            at_least("embedding", self.embedding, 1)
        if isinstance(self.width, list):
            object.__setattr__(self, "width", tuple(self.width))
        if isinstance(self.width, tuple):
            if len(self.width) != self.layers:
                raise UserError(
                    f"width has {len(self.width)} entries, the net has {self.layers} layers: "
                    "give one number, or one per layer"
                )
            if self.equal_widths and len(set(self.width)) > 1:
                raise UserError(f"width of a {self.family} is one number (residual connections)")
        for width in self.widths:
            at_least("width", width, self.smallest_width)

    @classmethod
    def check_class(cls, where: str) -> None:
        if cls.family_group is not None:
            try:
                one_of("family_group", cls.family_group, tuple(GROUPS))
            except UserError as error:
                raise UserError(f"{where}: {error}") from None

    @property
    def layers(self) -> int:
        """Number of layers that have a width of their own: the option `depth`, where a family does
        not say otherwise."""
        return getattr(self, "depth")  # noqa: B009

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each layer, the lowest first."""
        return self.width if isinstance(self.width, tuple) else (self.width,) * self.layers

    @property
    def layer_dilations(self) -> tuple[int, ...] | None:
        """The dilation of each layer, the lowest first; None where the family has none."""
        return None

    @property
    def longest_span(self) -> int:
        """The longest recurrent edge or distance of taps, in steps. It must be less than the
        sequence length."""
        return max(self.layer_dilations or (1,))

    @property
    def period(self) -> int | None:
        """Period of the cyclic graph in steps (Chang et al. 2017, section 3); None for
        convolutions and attention."""
        raise NotImplementedError

    @property
    def paths(self) -> Paths:
        """The edges by which an input reaches a later output."""
        raise NotImplementedError

    @property
    def recurrent_edges_per_node(self) -> float:
        """N_r of Chang et al. 2017, section 3."""
        raise NotImplementedError

    def sequential_steps(self, length: int) -> int:
        """How many steps of the computation must follow one another, for a sequence of `length`
        steps."""
        raise NotImplementedError

    @property
    def inputs(self) -> int:
        """How many numbers the first layer reads at a step: behind a table, those of a symbol."""
        return self.input_size if self.embedding is None else self.embedding

    @property
    def macs_per_step(self) -> float | None:
        """Multiply-accumulates of one more step of one sequence, as models/cost.py counts them;
        None where the family does not say."""
        return None

    @property
    def state_bytes(self) -> int | None:
        """Bytes that `stream` carries from step to step for one sequence, in float32; None where
        the family does not say."""
        return None

    def macs_per_step_over(self, length: int) -> float | None:
        """`macs_per_step`, the mean over a sequence of `length` steps where it grows with them."""
        return self.macs_per_step

    def state_bytes_after(self, length: int) -> int | None:
        """`state_bytes` after `length` steps, where they grow with them."""
        return self.state_bytes

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """Upper bounds of options in a search, given the options drawn so far."""
        return {}

    def build(self) -> Net:
        """The module, behind its table where there is an embedding. It checks its inputs
        (models/inputs.py)."""
        from drnn_bench.models.embedding import Embedded
        from drnn_bench.models.inputs import checked

        if self.embedding is None:
            return checked(self.network(), self)
        inner = dataclasses.replace(self, input_size=self.embedding, embedding=None)
        return checked(Embedded(inner.network(), self.input_size, self.embedding), self)

    def network(self) -> nn.Module:
        """The module without an embedding, which each family defines."""
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Any]:
        """All fields but the sizes and the width, as JSON values; those that are None left out."""
        skip = {"input_size", "output_size", "width"}
        pairs = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in pairs
            if k not in skip and v is not None
        }

    @property
    def config(self) -> dict[str, Any]:
        """`options` and the width. With the sizes, they are enough to build the net again."""
        width = self.width if isinstance(self.width, int) else list(self.width)
        return {**self.options, "width": width}

    @property
    def words(self) -> str:
        """The architecture in a few words, for tables."""
        usual = {"init": getattr(type(self), "init", None), "dropout": 0.0}
        shown = [
            f"{k}={'x'.join(map(str, v)) if isinstance(v, list) else v}"
            for k, v in self.options.items()
            if v is not False and usual.get(k, MISSING) != v
        ]
        widths = sorted(set(self.widths))
        return " ".join([*shown, f"width={'-'.join(map(str, dict.fromkeys(widths)))}"])


@dataclass(frozen=True, kw_only=True)
class Stepwise(Architecture):
    """Families of `depth` layers, each with one recurrent edge from the step before."""

    depth: int = 1

    def __post_init__(self) -> None:
        at_least("depth", self.depth, 1)
        super().__post_init__()

    @property
    def period(self) -> int:
        return 1

    @property
    def paths(self) -> Paths:
        return Paths(self.depth, (1,))

    @property
    def recurrent_edges_per_node(self) -> float:
        return 1.0

    def sequential_steps(self, length: int) -> int:
        return self.depth * length


@dataclass(frozen=True, kw_only=True)
class ParallelScan(Stepwise):
    """Stepwise families whose recurrence is linear: a layer is a parallel scan of log2(T) rounds,
    rounded up."""

    depth: int = 2

    def sequential_steps(self, length: int) -> int:
        return self.depth * max(1, math.ceil(math.log2(length)))


def at_least(name: str, value: Any, bound: int) -> None:
    """Raises UserError unless the value is a whole number from `bound` to the bound of its name."""
    if isinstance(value, bool) or not isinstance(value, int) or value < bound:
        raise UserError(f"{name} must be a whole number of at least {bound}, got {value!r}")
    at_most(name, value)


def at_most(name: str, value: float) -> None:
    """Raises UserError where the value is above the bound of its name."""
    most = MOST.get(name, LARGEST)
    if value > most:
        raise UserError(f"{name} must be at most {most:,}, got {shortened(value)}")


def shortened(value: float) -> str:
    """A number in words; it may have thousands of digits."""
    return f"{value:,}" if value < 10**18 else f"about 10^{round(math.log10(value))}"


def max_levels(base: int, length: int) -> int | None:
    """How many of base^0, base^1, ... are less than a sequence length; None: all (base 1)."""
    if base == 1:
        return None
    levels = 0
    while base**levels < length:
        levels += 1
    return levels


def one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raises UserError unless the value is a known one."""
    if value not in known:
        raise UserError(f"unknown {name} {value!r}: {nearest(str(value), list(known))}")


@functools.cache
def option_types(kind: type[Architecture]) -> dict[str, Any]:
    """Option name -> type, for reading `key=value` and search spaces. The dict is cached: do not
    change it."""
    hints = typing.get_type_hints(kind)
    skip = {"input_size", "output_size", "width"}
    names = [f.name for f in dataclasses.fields(kind) if f.name not in skip]
    names.sort(key=lambda name: name == "embedding")  # a family's own options first
    return {name: int if hints[name] == int | None else hints[name] for name in names}
