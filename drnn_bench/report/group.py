"""Lines of a board that one chart shows: how they are named, marked and scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drnn_bench.board.cells import metric_text, unit
from drnn_bench.models.names import FAMILIES
from drnn_bench.report.chart import COLOURS, GREY, Point
from drnn_bench.results.board_line import BoardGroup, BoardLine

Row = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Lines that one chart shows: of one task, at one budget or several.

    `studies` has the row of each line's study, `finals` the rows of its finalist, one a seed, both
    by the study's digest.
    """

    lines: Sequence[BoardLine]
    studies: dict[str, Row]
    finals: dict[str, list[Row]]

    @property
    def metric(self) -> str:
        """The metric's unit, with an arrow towards its better end."""
        return unit(BoardGroup(tuple(self.lines)))

    def scaled(self, value: float) -> float:
        return self.lines[0].shown_as.scale * value

    def shown(self, value: float | None) -> str:
        finite = value is not None and math.isfinite(value)
        return metric_text(self.lines[0].shown_as, value if finite else None)

    def result_point(self, line: BoardLine, x: float, words: str = "") -> Point:
        """The test mean of a line that has finals, with its interval."""
        assert line.test_mean is not None
        low, high = (
            None if end is None else self.scaled(end) for end in (line.test_low, line.test_high)
        )
        return Point(x, self.scaled(line.test_mean), words, low, high)

    def name(self, line: BoardLine) -> str:
        """The family. Where the group has several searches of it, the name also has the kind of
        search and the options that their spaces fix differently."""
        kinds = self._kinds(line.family)
        twins = [x for x in kinds[_kind(line)] if x.budget == line.budget]
        words = list(_kind(line)) if len(kinds) > 1 else []
        if len(twins) > 1:
            words += _fixed_apart(line, twins) or [f"study {line.study}"]
        return f"{line.family} ({', '.join(words)})" if words else line.family

    def look(self, line: BoardLine) -> tuple[int, int]:
        """Colour and marker, as `Series` has them: a family has its own colour, and each of its
        searches its own marker; where there is no other family, each search has its own colour."""
        names = dict.fromkeys(self.name(x) for x in self.lines if x.family == line.family)
        family_hue, number = hue(line.family), list(names).index(self.name(line))
        alone = len({x.family for x in self.lines}) == 1
        # Families of one colour, when there are more than colours, have other markers.
        mark = family_hue + 3 * (family_hue // len(COLOURS)) + number
        return family_hue + number * alone, mark

    def _kinds(self, family: str) -> dict[tuple[str, ...], list[BoardLine]]:
        kinds: dict[tuple[str, ...], list[BoardLine]] = {}
        for line in self.lines:
            if line.family == family:
                kinds.setdefault(_kind(line), []).append(line)
        return kinds

    def complete(self, family: str) -> list[tuple[BoardLine, Row]]:
        """Every complete trial of a family's studies, with its line."""
        return [
            (line, trial)
            for line in self.lines
            if line.family == family
            for trial in self.studies[line.study]["complete"]
        ]


def _kind(line: BoardLine) -> tuple[str, ...]:
    return line.sampler, line.pruner, f"seed {line.search_seed}"


def _fixed_apart(line: BoardLine, twins: list[BoardLine]) -> list[str]:
    """The options that a search's space fixes and those of its twins fix differently; none where
    two searches would be named alike."""

    def words(of: BoardLine) -> list[str]:
        fixed = {k: v for k, v in of.space.items() if not isinstance(v, (list, dict))}
        return [f"{k}={v}" for k, v in fixed.items() if any(x.space.get(k) != v for x in twins)]

    return words(line) if len({tuple(words(x)) for x in twins}) == len(twins) else []


def hue(family: str) -> int:
    return list(FAMILIES).index(family) if family in FAMILIES else GREY
