"""Where more parameters stop paying: the best families of a task's budgets against each other."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from drnn_bench.board.cells import result_text, with_unit
from drnn_bench.board.standing import Standing, name
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.searches import basis
from drnn_bench.results.significance import Sample, paired_told_apart

Best = tuple[Standing, BoardLine]  # a board and the family to take there


def budget_effect(standings: Sequence[Standing]) -> dict[tuple, str]:
    """A sentence for each task that has several budgets, by the key of its largest one's group.

    Boards that rank several families are compared, and those that rank the same search of one
    family. The bests of the budgets are told apart by Welch's test over seeds, or over the means of
    searches that disagree, with Holm's correction, beyond the task's margin. More parameters stop
    paying at the smallest budget that no larger one is better than.
    """
    tasks: dict[tuple, list[Best]] = {}
    for one in standings:
        if one.take is not None:
            task, version, data, _, steps, protocol = one.group.key
            key = (task, version, data, steps, protocol, _kind(one, one.take))
            tasks.setdefault(key, []).append((one, one.take))
    sentences = {}
    for budgets in tasks.values():
        if len(budgets) > 1:
            budgets.sort(key=lambda best: best[0].group.budget)
            sentences[budgets[-1][0].group.key] = _sentence(budgets)
    return sentences


def _kind(one: Standing, take: BoardLine) -> str:
    """What is searched at a budget: families, or one family in one space."""
    if len(one.ranked) > 1:
        return "families"
    return json.dumps([take.family, take.space, take.recipe], sort_keys=True, default=str)


def _sentence(budgets: Sequence[Best]) -> str:
    figures = ", ".join(
        f"{one.group.budget:,}: {name(one.group, best)} {with_unit(result_text(best), one.group)}"
        for one, best in budgets
    )
    listed = f"Best by parameters: {figures}."
    bests = [best for _, best in budgets]
    if min(best.n for best in bests) < 2:
        return f"{listed} One seed does not tell whether more parameters pay."
    samples = [Sample(basis(best.tests, best.search_means), np.empty(0)) for best in bests]
    first = bests[0]
    margin = first.margin or first.shown_as.margin  # protocol 1 had none
    pairs = paired_told_apart(samples, first.direction, margin)
    surpassed = {small for large, small in pairs if large > small}
    stop = next(i for i in range(len(budgets)) if i not in surpassed)
    if stop == len(budgets) - 1:
        return f"{listed} More parameters pay up to the largest of these budgets."
    return (
        f"{listed} More parameters stop paying at {budgets[stop][0].group.budget:,}: the best of "
        "no larger budget is told apart from it."
    )
