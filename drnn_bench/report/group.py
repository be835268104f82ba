"""Lines of a board that are drawn together: how they are named, marked and scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from drnn_bench.columns import UNITS
from drnn_bench.models import FAMILIES
from drnn_bench.report.chart import GREY

Row = dict[str, Any]
DASH = "–"


@dataclass(frozen=True)
class Group:
    """Lines of a board that belong together, the newest row of each one's study, and the rows of
    its finalist, one a seed."""

    lines: list[Row]
    studies: dict[str, Row]
    finals: dict[str, list[Row]]

    @property
    def metric(self) -> str:
        first = self.lines[0]
        arrow = "↑" if first["direction"] == "max" else "↓"
        return f"{UNITS.get(first['metric'], first['metric'])} {arrow}"

    def scaled(self, value: float) -> float:
        return 100 * value if self.lines[0]["metric"] == "accuracy" else value

    def shown(self, value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return DASH
        return f"{100 * value:.1f}" if self.lines[0]["metric"] == "accuracy" else f"{value:.4f}"

    def name(self, line: Row) -> str:
        """The family; with the kind of search where the group has several of it."""
        kinds = self._kinds(line["family"])
        twins = [x for x in kinds[_kind(line)] if x["budget"] == line["budget"]]
        if len(kinds) == len(twins) == 1:
            return line["family"]
        name = f"{line['family']} ({', '.join(_kind(line))}"
        return f"{name}, study {line['study']})" if len(twins) > 1 else f"{name})"

    def mark(self, line: Row) -> int:
        """The marker of a kind of search: a family's kinds share its colour."""
        return hue(line["family"]) + list(self._kinds(line["family"])).index(_kind(line))

    def _kinds(self, family: str) -> dict[tuple[str, ...], list[Row]]:
        kinds: dict[tuple[str, ...], list[Row]] = {}
        for line in self.lines:
            if line["family"] == family:
                kinds.setdefault(_kind(line), []).append(line)
        return kinds

    def complete(self, family: str) -> list[tuple[Row, Row]]:
        """Every complete trial of a family's studies, with its line."""
        return [
            (line, trial)
            for line in self.lines
            if line["family"] == family
            for trial in self.studies[line["study"]]["complete"]
        ]


def _kind(line: Row) -> tuple[str, ...]:
    return line["sampler"], line["pruner"], f"seed {line['search_seed']}"


def hue(family: str) -> int:
    return list(FAMILIES).index(family) if family in FAMILIES else GREY
