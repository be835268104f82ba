"""Families over tasks and budgets: scipy judges the interquartile mean, counting the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from drnn_bench.board import budgets
from drnn_bench.board.overall import TITLES
from drnn_bench.results.aggregate import standing, together
from drnn_bench.results.ranking import rank_rows
from tests.support.markdown import table
from tests.support.searched import Row, flat, searched

numbers = st.floats(-1, 1, allow_nan=False)
strata = st.lists(st.lists(numbers, min_size=1, max_size=7), min_size=1, max_size=4)


def repeated(drawn: list[list[float]]) -> np.ndarray:
    every = 4 * math.lcm(*map(len, drawn))
    return np.concatenate([np.repeat(group, every // len(group)) for group in drawn])


@settings(max_examples=50)
@given(strata)
def test_the_interquartile_mean_is_scipys_trimmed_mean_of_as_many_scores_of_each_group(drawn):
    """Every score is repeated until all groups have as many, and a quarter is a whole number."""
    found = standing("lstm", drawn)
    assert found.iqm == pytest.approx(stats.trim_mean(repeated(drawn), 0.25), abs=1e-12)
    assert found == standing("lstm", drawn)
    assert min(found.scores) - 1e-12 <= found.low <= found.high <= max(found.scores) + 1e-12


def test_the_interval_is_that_of_a_bootstrap_written_as_a_loop():
    """Each group is drawn from itself alone: 0.2 and 0.8 keep their number in every draw."""
    rng = np.random.default_rng(7)
    drawn = [rng.normal(0.2, 0.05, 15), rng.normal(0.8, 0.05, 5)]
    means = [
        stats.trim_mean(repeated([rng.choice(group, len(group)).tolist() for group in drawn]), 0.25)
        for _ in range(4000)
    ]
    found = standing("lstm", [group.tolist() for group in drawn])
    assert (found.low, found.high) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.01)


@given(strata, numbers, numbers)
def test_the_profile_counts_and_falls(drawn, one, other):
    found = standing("lstm", drawn)
    assert found.share_above(one) == pytest.approx(np.mean(repeated(drawn) > one))
    assert found.share_above(min(one, other)) >= found.share_above(max(one, other))


def test_more_searches_of_one_task_do_not_outweigh_the_other_task():
    once = standing("lstm", [[0.2, 0.3], [0.8, 0.9]])
    thrice = standing("lstm", [[0.2, 0.3] * 3, [0.8, 0.9]])
    assert (once.iqm, thrice.iqm) == pytest.approx((0.55, 0.55))
    assert (once.share_above(0.5), thrice.share_above(0.5)) == (0.5, 0.5)


def board(*names: str, task: str, tests: tuple[float, ...], budget: int = 1000) -> list[Row]:
    searches = [searched(name, task=task, budget=budget, width=8) for name in names]
    return flat([[one.study(), *one.finals(*tests)] for one in searches])


def test_scores_are_between_guessing_and_perfect_whichever_way_the_metric_goes():
    rows = board("lstm", "gru", task="pixel_digits", tests=(0.1, 0.55, 1.0))
    losses = (0.0, math.log(8), 4 * math.log(2))
    rows += board("lstm", "gru", task="copy_memory:T=5", tests=losses)
    [found] = together(rank_rows(rows))
    assert {x.family for x in found.standings} == {"lstm", "gru"}
    assert found.standings[0].scores == pytest.approx([1, 0, 1 - 4 / 3, 0, 0.5, 1])


def test_only_families_with_finals_in_every_group_count_and_the_groups_are_said():
    rows = board("lstm", "gru", "rnn", task="pixel_digits", tests=(0.7, 0.8))
    rows += board("lstm", "gru", task="copy_memory:T=5", tests=(0.5, 0.6))
    rows += board("lstm", task="pixel_digits", budget=2000, tests=(0.5, 0.6))
    rows += [searched("rnn", task="copy_memory:T=5").study()]
    groups = rank_rows(rows)
    [found] = together(groups)
    assert [x.family for x in found.standings] == ["gru", "lstm"]
    assert {(g.task, g.budget) for g in found.groups} == {
        ("pixel_digits", 1000), ("copy_memory:T=5", 1000)
    }  # fmt: skip
    assert [(g.budget, why) for g, why in found.left_out] == [
        (2000, "fewer than two families with finals")
    ]
    text = budgets.to_text(groups, "lstm", csv=False)
    assert "pixel_digits 1,000 parameters 100 steps" in text.partition("Over tasks and budgets")[2]
    [shown] = [row for row in table(text) if row[0] == "gru" and len(row) == len(TITLES)]
    assert shown[1] == f"{found.standings[0].iqm:.3f}"
    records = {x["family"]: x["iqm"] for x in budgets.to_records(groups, "lstm")}
    assert (records["rnn"], records["gru"]) == (None, found.standings[0].iqm)


def test_protocols_never_count_together_and_one_group_is_nothing_over_several():
    new = board("lstm", "gru", task="pixel_digits", tests=(0.7, 0.8))
    assert together(rank_rows(new)) == []
    old = [row | {"protocol": 1, "study": f"old-{row['study']}"} for row in
           board("lstm", "gru", task="copy_memory:T=5", tests=(0.7, 0.8))]  # fmt: skip
    assert together(rank_rows([*new, *old])) == []


def test_where_no_two_families_are_in_every_group_that_is_said():
    rows = board("lstm", "gru", task="pixel_digits", tests=(0.7, 0.8))
    rows += board("lstm", "rnn", task="copy_memory:T=5", tests=(0.5, 0.6))
    text = budgets.to_text(rank_rows(rows), "lstm", csv=True)
    assert "No two families have finals in all of them." in text


def test_budgets_of_different_protocols_stand_in_different_tables():
    new = board("lstm", "gru", task="pixel_digits", tests=(0.7, 0.8))
    old = [row | {"protocol": 1, "study": f"old-{row['study']}"} for row in new]
    tables = budgets.tables(rank_rows([*new, *old]), "lstm")
    assert [len(x.titles) for x in tables] == [2, 2]
    assert [", protocol 2)" in x.heading for x in tables] == [True, False]
