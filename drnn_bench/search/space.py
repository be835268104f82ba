"""Search spaces, and drawing from them. `space_file` reads them.

Width is never searched: the budget decides it. An option that is not named keeps its default.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Architecture, option_types
from drnn_bench.models.budget import Infeasible, solve_width
from drnn_bench.models.mrl import path_length
from drnn_bench.models.registry import TooFar, architecture_type, make_architecture
from drnn_bench.results.recipe import Recipe

if TYPE_CHECKING:
    import optuna

Value = int | float | str | bool

_COMPARE = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Condition:
    """`option op value`: the entry is drawn only where an earlier option fulfils it."""

    option: str
    op: str
    value: Value

    def holds(self, drawn: dict[str, Any]) -> bool:
        return _COMPARE[self.op](drawn[self.option], self.value)


@dataclass(frozen=True)
class Entry:
    """What may be drawn for one option: a list of choices (one: fixed) or a range."""

    name: str
    choices: tuple[Value, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    when: Condition | None = None

    @property
    def middle(self) -> Value:
        """The middle choice, or the middle of the range: the geometric one where it is log."""
        if self.choices:
            return sorted(self.choices)[len(self.choices) // 2]
        return math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2

    def suggest(self, trial: optuna.Trial, most: float) -> Value:
        if len(self.choices) == 1:
            return self.choices[0]
        if self.choices:
            return cast(Value, trial.suggest_categorical(self.name, self.choices))
        high = min(self.high, most)
        if high < self.low:
            raise Infeasible(
                f"{self.name} must be at most {high} here, the space begins at {self.low}",
                reason="the sequences are too short for the range",
            )
        if isinstance(self.low, int):
            return trial.suggest_int(self.name, self.low, int(high), log=self.log)
        return trial.suggest_float(self.name, self.low, high, log=self.log)


@dataclass(frozen=True)
class Drawn:
    """One draw: an architecture that meets the budget, and how fast it learns."""

    config: Architecture
    learning_rate: float


@dataclass(frozen=True)
class SearchSpace:
    family: str
    entries: tuple[Entry, ...]  # in the order they are drawn: conditions look back
    recipe: Recipe
    table: dict[str, Any]  # the `[space]` table as read: part of a study's identity

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of the cells that a draw may have; of a family of one cell, that one."""
        of_family = getattr(architecture_type(self.family), "cell", None)
        chosen = next((entry.choices for entry in self.entries if entry.name == "cell"), None)
        names = (of_family,) if chosen is None else chosen
        return tuple(name for name in names if isinstance(name, str))

    def draw(
        self,
        trial: optuna.Trial,
        *,
        budget: int,
        length: int,
        spans: Sequence[int] = (),
        **sizes: int,
    ) -> Drawn:
        """Raises Infeasible where the budget, the length or a needed span refuses the draw."""
        options = self.options(trial, length)
        learning_rate = options.pop("learning_rate")
        architecture = self.fit(options, budget=budget, length=length, spans=spans, **sizes)
        return Drawn(architecture, learning_rate)

    def options(self, trial: optuna.Trial, length: int) -> dict[str, Any]:
        """What a trial suggests, the learning rate among it. Raises Infeasible where the length
        leaves nothing of a range."""
        kind = architecture_type(self.family)
        defaults = {name: getattr(kind, name) for name in option_types(kind)}
        drawn: dict[str, Any] = {}
        for entry in self.entries:
            if entry.when is None or entry.when.holds({**defaults, **drawn}):
                most = kind.limits(drawn, length).get(entry.name, float("inf"))
                drawn[entry.name] = entry.suggest(trial, most)
        return drawn

    def fit(
        self,
        options: dict[str, Any],
        *,
        budget: int,
        length: int,
        spans: Sequence[int] = (),
        **sizes: int,
    ) -> Architecture:
        """The architecture of some options at a budget. Raises Infeasible where there is none, or
        where it cannot cross one of the `spans`, in steps."""
        try:
            found = solve_width(self.family, options, budget=budget, length=length, **sizes)
        except Infeasible:
            raise
        except UserError as error:
            raise Infeasible(str(error), reason="the options do not go together") from None
        for span in spans:
            if path_length(found, span) == math.inf:
                net = f"{self.family} {found.words}"
                raise Infeasible(
                    f"{net} cannot cross the {span} steps that the task needs",
                    reason="it cannot cross a span that the task needs",
                )
        return found

    def edges(self, options: dict[str, Any]) -> list[str]:
        """The options whose value lies on an end of its range: a wider range might be better."""
        on_edge = []
        for entry in self.entries:
            value = options.get(entry.name)
            if value is None or entry.choices or entry.low == entry.high:
                continue
            near = 1.02 if isinstance(value, float) else 1
            at_low = value <= entry.low * near and not self._lowest(entry)
            if at_low or value >= entry.high / near:
                on_edge.append(entry.name)
        return on_edge

    def _lowest(self, entry: Entry) -> bool:
        """Whether nothing lies below the range: no net has depth 0."""
        if entry.name == "learning_rate":
            return False
        below = {entry.name: entry.low - 1}
        try:
            make_architecture(self.family, input_size=1, output_size=1, width=64, **below)
        except TooFar:
            return False
        except UserError:
            return True
        return False
