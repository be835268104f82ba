"""Families over tasks and budgets, as text: `results.aggregate` computes them."""

from __future__ import annotations

from collections.abc import Sequence

from drnn_bench.results.aggregate import DRAWS, Together, together
from drnn_bench.results.board_line import BoardGroup

LEVELS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
TITLES = ("family", "IQM", "95 % interval", "finals", *(f"> {level:g}" for level in LEVELS))


def heading(one: Together) -> str:
    """What counts, and how, in sentences on one line; or why nothing does."""
    protocol = f" (protocol {one.protocol})" if one.protocol > 1 else ""
    where = f"Over tasks and budgets{protocol}: {'; '.join(map(_name, one.groups))}."
    left_out = "; ".join(f"{_name(group)} ({why})" for group, why in one.left_out)
    tail = f" Left out: {left_out}." if left_out else ""
    if not one.standings:
        return f"{where} No two families have finals in all of them.{tail}"
    return (
        f"{where} Families that have finals in all of them. Scores of finals, 0 for guessing and 1 "
        f"for the best possible: interquartile mean, interval of {DRAWS:,} stratified bootstrap "
        f"draws, share of finals above each score in %.{tail}"
    )


def _name(group: BoardGroup) -> str:
    return f"{group.task} {group.budget:,} parameters {group.steps:,} steps"


def rows(one: Together) -> list[list[str]]:
    return [
        [
            x.family, f"{x.iqm:z.3f}", f"{x.low:z.3f}–{x.high:z.3f}", f"{len(x.scores)}",
            *(f"{100 * x.share_above(level):.0f}" for level in LEVELS),
        ]
        for x in one.standings
    ]  # fmt: skip


def by_family(groups: Sequence[BoardGroup]) -> dict[tuple[int, str], dict[str, float]]:
    """What `bench compare --format json` says of a family, by protocol and family."""
    return {
        (one.protocol, x.family): {"iqm": x.iqm, "iqm_low": x.low, "iqm_high": x.high}
        for one in together(groups)
        for x in one.standings
    }
