"""What every family's frozen config offers: sizes, widths, and the edges its theory needs.

A config is the whole truth about a network: `config.build()` makes the module, `config.paths`
gives mean recurrent length, `config.widths` the layers. Nothing here needs data or training.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar

from drnn_bench.errors import UserError, nearest
from drnn_bench.models.names import FAMILY
from drnn_bench.plugins import Extension, Kind
from drnn_bench.tasks.task import LONGEST

if typing.TYPE_CHECKING:
    from torch import nn


LARGEST = 10_000_000  # of any one number that describes a net: beyond it somebody mistyped

# Smaller bounds, for numbers that say how many parts a net has or how far it is described.
MOST = {
    "depth": 256,
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
    spans:   recurrent edges, as the number of steps each one crosses; any may be used any number
             of times, at cost 1. Where the net differs between start times, those of the worst.
    windows: per convolution, the steps back that its one feed-forward edge may reach.
    """

    edges: int
    spans: tuple[int, ...] = ()
    windows: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Architecture(Extension):
    """Base of the families' configs. `width` is one number for all layers, or one per layer.

    `embedding`: a learned table gives each input symbol so many numbers; None: inputs as they come.
    """

    kind_of_extension: ClassVar[Kind] = FAMILY

    input_size: int
    output_size: int
    width: int | tuple[int, ...]
    embedding: int | None = None

    family: ClassVar[str]
    summary: ClassVar[str]  # of a plug-in: one line for `bench ls families`
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

    @property
    def layers(self) -> int:
        """Number of layers that have a width of their own."""
        return self.depth

    @property
    def widths(self) -> tuple[int, ...]:
        return self.width if isinstance(self.width, tuple) else (self.width,) * self.layers

    @property
    def layer_dilations(self) -> tuple[int, ...] | None:
        """Per layer, lowest first, or None where the family has none."""
        return None

    @property
    def longest_span(self) -> int:
        """The longest recurrent edge or tap distance: it must lie below the sequence length."""
        return max(self.layer_dilations or (1,))

    @property
    def period(self) -> int | None:
        """Length of one turn of the cyclic graph (paper, section 3); None for convolutions."""
        raise NotImplementedError

    @property
    def paths(self) -> Paths:
        raise NotImplementedError

    @property
    def recurrent_edges_per_node(self) -> float:
        """The paper's N_r."""
        raise NotImplementedError

    def sequential_steps(self, length: int) -> int:
        """Steps that must follow one another to run a sequence of `length`."""
        raise NotImplementedError

    @classmethod
    def limits(cls, options: dict[str, Any], length: int) -> dict[str, int]:
        """Upper bounds that a search respects, given the options drawn so far."""
        return {}

    def build(self) -> nn.Module:
        """The module, with its table in front where there is an embedding. It checks what it is
        given (models/inputs.py)."""
        from drnn_bench.models.embedding import Embedded
        from drnn_bench.models.inputs import checked

        if self.embedding is None:
            return checked(self.network(), self)
        inner = dataclasses.replace(self, input_size=self.embedding, embedding=None)
        return checked(Embedded(inner.network(), self.input_size, self.embedding), self)

    def network(self) -> nn.Module:
        """The module without an embedding: what a family has to say."""
        raise NotImplementedError

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the sizes and the width, as JSON values; unused options left out."""
        skip = {"input_size", "output_size", "width"}
        pairs = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in pairs
            if k not in skip and v is not None
        }

    @property
    def config(self) -> dict[str, Any]:
        """`options` and the width: with the sizes, enough to build the net again."""
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
    """`depth` layers, each with one recurrent edge from the step before."""

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
    """The same where the recurrence is linear: a layer takes log2(T) rounds, rounded up."""

    depth: int = 2

    def sequential_steps(self, length: int) -> int:
        return self.depth * max(1, math.ceil(math.log2(length)))


def at_least(name: str, value: Any, bound: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < bound:
        raise UserError(f"{name} must be a whole number of at least {bound}, got {value!r}")
    at_most(name, value)


def at_most(name: str, value: float) -> None:
    most = MOST.get(name, LARGEST)
    if value > most:
        raise UserError(f"{name} must be at most {most:,}, got {shortened(value)}")


def shortened(value: float) -> str:
    """A number that may have thousands of digits."""
    return f"{value:,}" if value < 10**18 else f"about 10^{round(math.log10(value))}"


def max_levels(base: int, length: int) -> int | None:
    """How many of base^0, base^1, ... lie below a sequence length; None: all (base 1)."""
    if base == 1:
        return None
    levels = 0
    while base**levels < length:
        levels += 1
    return levels


def one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"unknown {name} {value!r}: {nearest(str(value), list(known))}")


@functools.cache
def option_types(kind: type[Architecture]) -> dict[str, Any]:
    """Option name -> type, for reading `key=value` and search spaces. (Not to be changed.)"""
    hints = typing.get_type_hints(kind)
    skip = {"input_size", "output_size", "width"}
    names = [f.name for f in dataclasses.fields(kind) if f.name not in skip]
    names.sort(key=lambda name: name == "embedding")  # a family's own options first
    return {name: int if hints[name] == int | None else hints[name] for name in names}
