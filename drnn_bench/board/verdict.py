"""The answer of a board: which family to take, what is not told apart from it, what is behind.

It is computed from the board's own lines, so it says nothing that the ranks do not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from drnn_bench.board import verdict_words as words
from drnn_bench.board.budget_effect import budget_effect
from drnn_bench.board.net_words import net_words
from drnn_bench.board.next_steps import next_steps
from drnn_bench.board.standing import Standing, name, standing
from drnn_bench.results.board_line import BoardGroup, BoardLine
from drnn_bench.results.study_lines import gain

Key = tuple[str, int, str, int, int, int]  # of a group


@dataclass(frozen=True)
class Alternative:
    """A family that is not told apart; `why` one might prefer it, None where it is not cheaper."""

    family: str
    why: str | None


@dataclass(frozen=True)
class Behind:
    """A family that is told apart; `difference` by which it is worse, in the metric's unit."""

    family: str
    difference: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a board says, as data and as words.

    Every ranked family is `take`, or in `not_told_apart` or `behind`. The last two are relative to
    the family of the best mean, which is `take` where there is one. A family that the board has
    more than once carries the number of its row.
    """

    task: str
    budget: int  # parameters, at most
    steps: int  # training steps
    take: str | None  # the family; None where there is none to recommend
    architecture: str | None  # in people's words
    metric: str
    mean: float | None  # of the test metric over the finals, in its own unit
    low: float | None  # ends of the 95 % interval of the mean; None below two seeds
    high: float | None
    parameters: int | None
    not_told_apart: tuple[Alternative, ...]
    behind: tuple[Behind, ...]
    reason: str  # why this family, or why none; a sentence
    budgets: str | None  # where more parameters stop paying; only at the largest budget
    warnings: tuple[str, ...]  # sentences
    next: tuple[str, ...]  # commands that run as they stand
    headline: str
    details: str  # what stands directly after the headline, on the same line

    @property
    def json(self) -> dict[str, Any]:
        return asdict(self)


def verdicts(groups: Sequence[BoardGroup], runs_dir: str | None = None) -> list[Verdict]:
    """One verdict a group, in their order. The groups are whole: not filtered, not sorted anew.

    `runs_dir` is the folder of the results, for the commands in `next`; without it there are none.
    """
    standings = [standing(group) for group in groups]
    effects = budget_effect(standings)
    return [
        _verdict(one, effects.get(one.group.key), next_steps(one, groups, runs_dir))
        for one in standings
    ]


def by_board(groups: Sequence[BoardGroup], runs_dir: str | None = None) -> dict[Key, Verdict]:
    """The verdicts by the keys of their groups."""
    keys = [group.key for group in groups]
    return dict(zip(keys, verdicts(groups, runs_dir), strict=True))


def _verdict(one: Standing, effect: str | None, commands: list[str]) -> Verdict:
    group, take = one.group, one.take
    warnings = words.warnings(one)
    headline, details = words.sentences(one)
    return Verdict(
        task=group.task,
        budget=group.budget,
        steps=group.steps,
        take=take and name(group, take),
        architecture=take and net_words(take.config),
        metric=group.metric,
        mean=take and take.test_mean,
        low=take and take.test_low,
        high=take and take.test_high,
        parameters=take and take.parameters,
        not_told_apart=tuple(_alternative(one, line) for line in one.tied),
        behind=tuple(_behind(one, line) for line in one.behind),
        reason=words.reason(one),
        budgets=effect,
        warnings=tuple(warnings),
        next=tuple(commands),
        headline=headline,
        details=" ".join([details, *([effect] if effect else []), *warnings]),
    )


def _alternative(one: Standing, line: BoardLine) -> Alternative:
    why = words.preference(one.take, line) if one.take else []
    return Alternative(name(one.group, line), ", ".join(why) or None)


def _behind(one: Standing, line: BoardLine) -> Behind:
    difference = gain(line.direction, one.ranked[0].test_mean, line.test_mean)
    assert difference is not None
    return Behind(name(one.group, line), difference)
