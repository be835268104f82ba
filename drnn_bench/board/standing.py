"""How the families of a board stand to the one to take: the facts of a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.study_lines import gain


@dataclass(frozen=True)
class Standing:
    """The ranked lines of a whole group: each is `take`, or in `tied` or in `behind`.

    take    the line of the best mean; None where no line learned something
    tied    those that are not told apart from the line of the best mean
    behind  those that are
    """

    group: BoardGroup
    take: BoardLine | None
    tied: tuple[BoardLine, ...]
    behind: tuple[BoardLine, ...]

    @property
    def ranked(self) -> list[BoardLine]:
        return ranked(self.group)

    @property
    def all_tied(self) -> bool:
        """Whether no pair of several lines is told apart."""
        return len(self.ranked) > 1 and all(line.rank_low == 1 for line in self.ranked)


def standing(group: BoardGroup) -> Standing:
    lines = ranked(group)
    if not lines:
        return Standing(group, None, (), ())
    best, *others = lines
    take = best if best.rank_low == 1 and any(map(learned, lines)) else None
    behind = tuple(line for line in others if _is_behind(group, best, line))
    tied = [line for line in others if line not in behind]
    return Standing(group, take, tuple(tied if take else [best, *tied]), behind)


def ranked(group: BoardGroup) -> list[BoardLine]:
    return [line for line in group.lines if line.rank_low is not None]


def learned(line: BoardLine) -> bool:
    """Whether the worse end of the interval is better than guessing, by more than the margin."""
    if all_diverged(line):
        return False
    end = line.test_low if line.direction == "max" else line.test_high
    by = gain(line.direction, line.test_mean if end is None else end, line.guessing)
    return by is None or by > line.margin


def all_diverged(line: BoardLine) -> bool:
    return 0 < line.diverged_finals == finals(line)


def finals(line: BoardLine) -> int:
    """How many were trained. Since protocol 2 those that diverged are among the n."""
    return line.n + (line.diverged_finals if line.protocol == 1 else 0)


def names(group: BoardGroup, lines: Sequence[BoardLine]) -> list[str]:
    return [name(group, line) for line in lines]


def name(group: BoardGroup, line: BoardLine) -> str:
    """The family, with the number of the board's row where the board has it more than once."""
    if sum(x.family == line.family for x in group.lines) == 1:
        return line.family
    return f"{line.family} of row {group.lines.index(line) + 1}"


def _is_behind(group: BoardGroup, best: BoardLine, line: BoardLine) -> bool:
    assert best.rank_high is not None
    assert line.rank_low is not None
    return (best.study, line.study) in group.told_apart or line.rank_low > best.rank_high
