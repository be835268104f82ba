"""Boards: what is ranked with what, what counts, and that a board is its records and no more."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from drnn_bench.board import renderings
from drnn_bench.board.frame import leaderboard
from drnn_bench.errors import UserError
from drnn_bench.results import records
from drnn_bench.results.board_line import GROUP, as_records
from drnn_bench.results.outcomes import BLOCKS, pack
from drnn_bench.results.ranking import rank_rows, select
from tests.support.markdown import table
from tests.support.rows import real_rows
from tests.support.searched import (
    FAIR,
    GOOD,
    POOR,
    at_random,
    different_studies,
    flat,
    line,
    lines,
    searched,
    three,
)


@pytest.mark.parametrize("role", ["study", "final", "speed"])
def test_the_rows_made_here_have_the_keys_of_the_real_ones(role):
    one = searched()
    made = {"study": one.study(), "final": one.final(0, 0.5), "speed": one.speed(1.0)}
    absent = {"reference"} | {f"{what}_all_per_s{end}" for what in ("train", "infer")
                              for end in ("", "_low", "_high")}  # fmt: skip
    assert real_rows()[role].keys() - made[role].keys() == (absent if role == "speed" else set())
    assert made[role].keys() <= real_rows()[role].keys()


def test_real_rows_make_a_board():
    [only] = lines(list(real_rows().values()))
    assert (only["family"], only["n"], only["rank_low"]) == ("dilated_cnn", 1, 1)
    assert only["test_mean"] == real_rows()["final"]["test"]
    assert only["train_per_s"] == real_rows()["speed"]["train_per_s"] > 0
    assert only["speed_ratio"] > 0  # over the reference


# -- ranks -------------------------------------------------------------------------------------


def test_the_best_is_first_and_what_differs_surely_has_a_rank_of_its_own():
    rows, order = three()
    found = lines(flat(rows))
    assert [x["family"] for x in found] == order
    assert [(x["rank_low"], x["rank_high"]) for x in found] == [(1, 1), (2, 2), (3, 3)]
    assert [x["n"] for x in found] == [3, 3, 3]
    assert found[0]["test_mean"] == pytest.approx(0.951)
    half = 4.302653 * 0.001 / 3**0.5  # Student's t of two degrees of freedom
    assert found[0]["test_low"] == pytest.approx(0.951 - half, abs=1e-6)
    assert found[0]["test_high"] == pytest.approx(0.951 + half, abs=1e-6)


def test_where_less_is_better_the_smallest_is_first():
    task = "copy_memory:T=5"
    good, poor = searched("lstm", task=task, value=0.1), searched("dilated_cnn", task=task, depth=2)
    none = [searched("lstm", task=task, value=v, sampler=s) for s, v in
            (("random", 0.9), ("qmc", 0.2))]  # fmt: skip
    rows = [*(n.study() for n in none), poor.study(), *poor.finals(1.9, 1.91, 1.92),
            good.study(), *good.finals(0.1, 0.11, 0.12)]  # fmt: skip
    found = lines(rows)
    assert [x["test_mean"] for x in found[:2]] == pytest.approx([0.11, 1.91])
    assert [x["rank_low"] for x in found] == [1, 2, None, None]
    assert [x["validation_best"] for x in found[2:]] == [0.2, 0.9]
    assert {x["direction"] for x in found} == {"min"}


def test_what_cannot_be_told_apart_shares_ranks():
    one, other = searched("lstm"), searched("dilated_rnn")
    found = lines([one.study(), *one.finals(0.80, 0.84, 0.88),
                   other.study(), *other.finals(0.81, 0.85, 0.89)])  # fmt: skip
    assert [(x["rank_low"], x["rank_high"]) for x in found] == [(1, 2), (1, 2)]
    assert [x["family"] for x in found] == ["dilated_rnn", "lstm"]


def test_one_seed_has_no_interval_and_is_told_apart_from_nothing():
    one, other = searched("lstm"), searched("dilated_rnn")
    found = lines([one.study(), *one.finals(0.99), other.study(), *other.finals(*POOR)])
    assert [x["n"] for x in found] == [1, 3]
    assert (found[0]["test_low"], found[0]["test_high"]) == (None, None)
    assert [(x["rank_low"], x["rank_high"]) for x in found] == [(1, 2), (1, 2)]


DIFFERENT = {
    "budget": {"budget": 2000},
    "steps": {"steps": 200},
    "version": {"version": 2},
    "data": {"data_hash": "fedcba9876543210"},
    "task": {"task": "pixel_mnist"},
    "task option": {"task": "copy_memory:T=5"},
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_was_run_under_other_conditions_is_never_ranked_together(what):
    options = {"task": "copy_memory:T=500"} if what == "task option" else {}
    one, other = searched(**options), searched(**{**options, **DIFFERENT[what]})
    board = rank_rows([one.study(), *one.finals(*GOOD), other.study(), *other.finals(*POOR)])
    assert [(x["rank_low"], x["rank_high"]) for x in as_records(board)] == [(1, 1), (1, 1)]
    assert [len(group.lines) for group in board] == [1, 1]
    assert renderings.to_markdown(board).count("### ") == 2


@pytest.mark.parametrize("changes", [{"sampler": "qmc"}, {"family": "dilated_rnn"}])
def test_what_was_run_under_the_same_conditions_is_ranked_together(changes):
    one, other = searched(), searched(**changes)
    board = rank_rows([one.study(), *one.finals(*GOOD), other.study(), *other.finals(*POOR)])
    assert [len(group.lines) for group in board] == [2]
    assert [(x["rank_low"], x["rank_high"]) for x in as_records(board)] == [(1, 1), (2, 2)]


# -- what counts -------------------------------------------------------------------------------


def test_a_study_that_is_extended_keeps_one_line_as_it_stands_last():
    first = searched()
    later = dataclasses.replace(first.with_best(value=0.7), complete=9)
    rows = [first.study(), *first.finals(*FAIR), later.study()]
    [only] = lines(rows)
    assert (only["trials"]["complete"], only["validation_best"]) == (9, 0.7)
    assert only["n"] == 3  # the best net is still the same one


def test_finals_of_a_best_net_that_was_overtaken_do_not_count():
    first = searched(width=8)
    better = first.with_best(config=first.best["config"] | {"width": 9})
    better = dataclasses.replace(better, complete=9)
    rows = [first.study(), *first.finals(*POOR), first.speed(100.0), better.study()]
    [only] = lines(rows)
    assert (only["n"], only["test_mean"], only["train_per_s"]) == (0, None, None)
    [only] = lines([*rows, *better.finals(*GOOD), better.speed(80.0)])
    assert (only["n"], only["train_per_s"], only["width"]) == (3, 80.0, 9)
    assert only["tests"] == list(GOOD)


def test_finals_of_the_same_net_at_another_learning_rate_do_not_count():
    first = searched()
    faster = dataclasses.replace(first.with_best(learning_rate=2e-2), complete=9)
    rows = [first.study(), *first.finals(*POOR, 0.6), faster.study(), *faster.finals(*GOOD)]
    [only] = lines(rows)
    assert only["tests"] == list(GOOD)
    assert only["learning_rate"] == 2e-2


def test_finals_of_another_study_do_not_count():
    one, other = searched(), searched(sampler="qmc")
    [first, second] = lines([one.study(), other.study(), *one.finals(*GOOD)])
    assert (first["n"], first["sampler"]) == (3, "tpe")
    assert (second["n"], second["sampler"]) == (0, "qmc")


def test_finals_that_diverged_count_as_the_worse_of_guessing_and_the_worst():
    one = searched()
    [only] = lines([one.study(), *one.finals(0.8, None, 0.9, None)])
    assert (only["n"], only["diverged_finals"]) == (4, 2)
    assert only["tests"] == [0.8, 0.9, 0.1, 0.1]
    assert only["test_mean"] == pytest.approx(0.475)
    [only] = lines([one.study(), *one.finals(0.05, None)])
    assert only["tests"] == [0.05, 0.05]
    [only] = lines([one.study(), *one.finals(None, None)])
    assert (only["n"], only["diverged_finals"], only["test_mean"]) == (2, 2, 0.1)


def test_under_protocol_1_finals_that_diverged_are_counted_and_not_averaged():
    one = searched()
    old = dataclasses.replace(one, spec=dataclasses.replace(one.spec, protocol=1))
    [only] = lines([old.study(), *old.finals(0.8, None, 0.9, None)])
    assert (only["n"], only["diverged_finals"]) == (2, 2)
    assert only["tests"] == [0.8, 0.9]
    assert "protocol" not in only
    [only] = lines([old.study(), *old.finals(None, None)])
    assert (only["n"], only["diverged_finals"], only["test_mean"]) == (0, 2, None)
    assert only["rank_low"] is None


def test_boards_of_two_protocols_are_never_ranked_together():
    one = searched()
    old = dataclasses.replace(one, spec=dataclasses.replace(one.spec, protocol=1))
    groups = rank_rows([one.study(), *one.finals(*GOOD), old.study(), *old.finals(*POOR)])
    assert [group.protocol for group in groups] == [2, 1]
    assert [group.apart for group in groups] == [["protocol 1"], ["protocol 2"]]


def test_of_a_task_the_latest_protocol_stands_first_and_of_it_the_latest_version():
    old, one, new = searched(), searched(), searched(version=2)
    old = dataclasses.replace(old, spec=dataclasses.replace(old.spec, protocol=1))
    small, other = searched(budget=500), searched(task="adding:T=20")
    groups = rank_rows([x.study() for x in (old, one, small, new, other)])
    assert [(x.task, x.protocol, x.first.task_version, x.budget) for x in groups] == [
        ("adding:T=20", 2, 1, 1000),
        ("pixel_digits", 2, 2, 1000),
        ("pixel_digits", 2, 1, 500),
        ("pixel_digits", 2, 1, 1000),
        ("pixel_digits", 1, 1, 1000),
    ]


def test_ranks_rest_on_the_test_examples_too():
    """Seeds that agree to the last digit separate nothing that other examples might turn round."""
    one, other = searched("lstm"), searched("gru")
    tests = [0.52, 0.52, 0.52], [0.50, 0.50, 0.50]
    rows = []
    for net, values in zip((one, other), tests, strict=True):
        finals = net.finals(*values)
        right = sorted((i < 360 * values[0] for i in range(360)), reverse=net is one)
        rows += [net.study(), *(row | {"outcomes": pack(right)} for row in finals)]
    assert {(x["rank_low"], x["rank_high"]) for x in lines(rows)} == {(1, 2)}
    for row in rows:
        row.pop("outcomes", None)  # seeds alone
    assert [(x["rank_low"], x["rank_high"]) for x in lines(rows)] == [(1, 1), (2, 2)]


def test_a_net_without_any_error_keeps_the_margin():
    """Its outcomes are bits, and those of nets that are nearly as good are block means."""
    exact, near = searched("lstm"), searched("gru")
    rows = []
    for net, tests in ((exact, [0.0, 0.0, 0.0]), (near, [1e-5, 1.1e-5, 1.2e-5])):
        finals = [
            row | {"outcomes": pack(np.linspace(0, 2 * row["test"], 2 * BLOCKS))}
            for row in net.finals(*tests)
        ]
        rows += [net.study() | {"margin": 0.01, "direction": "min"}, *finals]
    assert {(x["rank_low"], x["rank_high"]) for x in lines(rows)} == {(1, 2)}


def test_a_family_whose_finals_all_diverged_leaves_the_others_their_margin():
    """It has no outcomes."""
    rows = []
    for family, tests in (("lstm", [0.9, 0.9]), ("gru", [0.895, 0.895]), ("rnn", [None, None])):
        net, known = searched(family), {"outcomes": pack([1.0] * 90 + [0.0] * 10)}
        finals = [row | known if row["test"] else row for row in net.finals(*tests)]
        rows += [net.study() | {"margin": 0.01}, *finals]
    assert [(x["family"], x["rank_low"], x["rank_high"]) for x in lines(rows)] == [
        ("lstm", 1, 2),
        ("gru", 1, 2),
        ("rnn", 3, 3),
    ]


def test_a_seed_that_was_trained_twice_counts_once():
    one = searched()
    [only] = lines([one.study(), *one.finals(0.8, 0.9), one.final(1, 0.9)])
    assert only["n"] == 2
    assert only["test_mean"] == pytest.approx(0.85)


def test_lines_without_finals_are_last_and_have_no_rank():
    tested = searched("dilated_rnn")
    search_only = [searched("lstm", value=0.99), searched("dilated_cnn", depth=2, value=0.999)]
    rows = [*(s.study() for s in search_only), tested.study(), *tested.finals(*POOR)]
    found = lines(rows)
    assert [x["family"] for x in found] == ["dilated_rnn", "dilated_cnn", "lstm"]
    assert [x["n"] for x in found] == [3, 0, 0]
    assert [x["rank_low"] for x in found] == [1, None, None]
    assert [x["rank_high"] for x in found] == [1, None, None]  # nobody to be tied with
    assert "search only" in renderings.to_markdown(rank_rows(rows))


def test_rows_without_a_study_make_no_line():
    one = searched()
    assert rank_rows([*one.finals(*GOOD), one.speed(3.0)]) == []
    assert rank_rows([]) == []


# -- gains, and what is left out ---------------------------------------------------------------


def of_protocol_1(rows: list[dict]) -> list[dict]:
    return [row | {"protocol": 1} for row in rows]


def test_under_protocol_1_the_gain_is_the_retrained_mean_over_the_random_start():
    one = searched()
    rows = [one.study(), *one.finals(0.8, 0.9)]
    assert line(of_protocol_1(rows))["gain"] == pytest.approx(0.85 - 0.4)
    assert line(of_protocol_1(rows[:1]))["gain"] is None
    assert line(rows)["gain"] is None
    loss = searched(task="copy_memory:T=5")
    rows = of_protocol_1([loss.study(), *loss.finals(0.1, 0.3)])
    assert line(rows)["gain"] == pytest.approx(0.4 - 0.2)


def test_under_protocol_1_the_gain_over_random_search_is_over_the_random_study_of_the_same_space():
    tpe = searched()
    random_ = dataclasses.replace(at_random(tpe, seed=3), complete=9)
    short = at_random(tpe, seed=4)
    rows = [tpe.study(), *tpe.finals(0.9, 0.9), random_.study(), *random_.finals(0.7, 0.8),
            short.study(), *short.finals(0.1)]  # fmt: skip
    rows = of_protocol_1(rows)
    gains = {x["study"]: x["gain_over_random"] for x in lines(rows)}
    assert gains == {tpe.spec.digest: pytest.approx(0.15), random_.spec.digest: None,
                     short.spec.digest: None}  # fmt: skip
    text = renderings.to_markdown(rank_rows(rows))
    assert "over random search" in text
    kinds = {"tpe, asha, seed 0", "random, none, seed 3", "random, none, seed 4"}
    assert {row[table(text)[0].index("search")] for row in table(text)[2:]} == kinds


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(at_random(searched("gru")), id="another family"),
        pytest.param(at_random(searched(budget=2000)), id="another budget"),
        pytest.param(at_random(searched(steps=200)), id="other steps"),
        pytest.param(
            dataclasses.replace(
                at_random(searched()),
                spec=dataclasses.replace(at_random(searched()).spec, space={"learning_rate": 0.1}),
            ),
            id="another space",
        ),
    ],
)
def test_there_is_no_gain_over_another_kind_of_random_search(other):
    tpe = searched()
    rows = of_protocol_1([tpe.study(), *tpe.finals(*GOOD), other.study(), *other.finals(*POOR)])
    assert {x["gain_over_random"] for x in lines(rows)} == {None}
    assert "over random search" not in renderings.to_markdown(rank_rows(rows))


def test_a_test_result_that_is_no_number_counts_as_diverged():
    one = searched()
    [only] = lines([one.study(), one.final(0, math.nan), one.final(1, 0.9)])
    assert (only["n"], only["diverged_finals"], only["tests"]) == (2, 1, [0.9, 0.1])


# -- reading a folder --------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path) -> Path:
    records.append(tmp_path / "records.jsonl", flat(different_studies()))
    return tmp_path


def test_a_folder_is_read_and_what_is_asked_for_is_kept(runs):
    board = leaderboard(runs_dir=runs)
    assert len(board) == 8
    assert set(leaderboard(runs, task="pixel_mnist")["task"]) == {"pixel_mnist"}
    assert set(leaderboard(runs, family="lstm")["family"]) == {"lstm"}
    assert leaderboard(runs, budget=2000)["width"].tolist() == [12]
    assert list(leaderboard(runs, family="lstm").index) == [0, 1, 2]
    assert (leaderboard(runs)["rank_low"].dtype, leaderboard(runs)["n"].dtype) == ("Int64", "Int64")


def test_a_task_with_options_is_found_by_its_name_too():
    one, other = searched(task="copy_memory:T=5"), searched(task="copy_memory:T=50")
    board = rank_rows([one.study(), other.study(), searched().study()])
    assert [x.task for x in select(board, task="copy_memory")] == [
        "copy_memory:T=5",
        "copy_memory:T=50",
    ]
    assert [x.task for x in select(board, task="copy_memory:T=50")] == ["copy_memory:T=50"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"task": "pixel_digit"}, ["task 'pixel_digit'", "did you mean 'pixel_digits'?"]),
        ({"family": "lstn"}, ["family 'lstn'", "did you mean 'lstm'?"]),
        ({"budget": 3000}, ["budget 3000", "1000, 2000"]),
    ],
)
def test_what_has_not_been_run_is_said_in_one_line(runs, asked, words):
    with pytest.raises(UserError) as refused:
        leaderboard(runs, **asked)
    assert len(str(refused.value).splitlines()) == 1
    for word in [*words, str(runs)]:
        assert word in str(refused.value)


def test_an_empty_folder_is_said_to_be_one(tmp_path):
    with pytest.raises(UserError, match="nothing has been run yet"):
        leaderboard(tmp_path)


# -- the published boards ----------------------------------------------------------------------


def test_every_line_carries_what_it_is_grouped_by():
    for record in lines(flat(three()[0])):
        assert set(GROUP) <= set(record)
        assert not any(isinstance(x, float) and math.isnan(x) for x in record.values())
