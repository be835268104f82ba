"""Boards: what is ranked with what, what counts, and that a board is its records and no more."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import math
import os
import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT
from rich.console import Console
from test_records import real_rows

from drnn_bench.board import budgets, columns, publish
from drnn_bench.board.reproduce import again
from drnn_bench.board.terminal import print_board
from drnn_bench.errors import UserError
from drnn_bench.models.registry import make_architecture
from drnn_bench.results import records
from drnn_bench.results.ranking import (
    GROUP,
    build,
    leaderboard,
    select,
)
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.space import default_path, read_space
from drnn_bench.search.study import StudySpec
from drnn_bench.search.summary import describe_run, study_row
from drnn_bench.system.provenance import provenance
from drnn_bench.tasks.registry import parse_task

Row = dict[str, Any]
HERE = {**provenance("cpu", 1), "processor": "Processor A, 4 cores"}
_clock = itertools.count()


def started() -> str:
    """A later moment at every call."""
    seconds = next(_clock)
    return f"2026-01-{1 + seconds // 3600:02}T00:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


@dataclass(frozen=True)
class Searched:
    """A study and its best net, and the rows that the harness would write about them."""

    spec: StudySpec
    best: Row
    complete: int = 3

    def study(self, **changes: Any) -> Row:
        summary = {
            "trials": {
                "complete": self.complete, "pruned": 2, "diverged": 1, "failed": 0,
                "infeasible": 0, "duplicate": 0,
            },
            "best": self.best,
            "startup_mean": 0.4,
            "startup_n": 2,
            "search_seconds": 12.5,
            "complete": [],
            "history": [],
            "importance": None,
            "ended": None,
        }  # fmt: skip
        row = study_row(self.spec, self.task, summary, "cpu")
        return row | {"started": started(), **changes}

    def final(self, seed: int, test: float | None, **changes: Any) -> Row:
        """One seed's row; `test` None: it diverged."""
        outcome: Row = {"validation": None, "test": None, "state": "diverged", "reason": "nan"}
        if test is not None:
            outcome = {
                "state": "complete", "validation": test, "test": test, "test_accuracy": 0.5,
                "test_cross_entropy": 1.0, "test_size": 360, "best_step": 90, "curve": [[90, test]],
                "train_seconds": 1.5, "weights": "0" * 64,
            }  # fmt: skip
        row = describe_run(self.spec, self.task, self.best) | {"seed": seed} | outcome
        return records.make_row(
            "final", row, **HERE, started=started(), kernels="fused", peak_memory_mb=100.0
        ) | changes  # fmt: skip

    def finals(self, *tests: float | None) -> list[Row]:
        return [self.final(seed, test) for seed, test in enumerate(tests)]

    def speed(self, per_s: float, *, session: str = "s1", threads: int = 1, **changes: Any) -> Row:
        row = describe_run(self.spec, self.task, self.best) | {"seed": 0, "state": "complete"}
        rates = {
            f"{what}_per_s{end}": factor * per_s
            for what, factor in (("train", 1.0), ("infer", 3.0))
            for end in ("", "_low", "_high")
        }
        times = {f"{what}{end}": 1.0 / per_s for what in ("latency_ms", "stream_us")
                 for end in ("", "_low", "_high")}  # fmt: skip
        measured = {"batch_size": 128, "length": 64, "machine": "idle", "repeats": [30] * 4,
                    "kernels": "torch", "peak_memory_mb": 50.0, **rates, **times}  # fmt: skip
        where = HERE | {"threads": threads}
        return records.make_row(
            "speed", row, session=session, **measured, **where, started=started()
        ) | changes  # fmt: skip

    @property
    def task(self):
        return parse_task(self.spec.task)

    def with_best(self, **changes: Any) -> Searched:
        """The same study, another best net."""
        return dataclasses.replace(self, best=self.best | changes)


def searched(
    family: str = "lstm",
    *,
    task: str = "pixel_digits",
    version: int = 1,
    data_hash: str = "0123456789abcdef",
    budget: int = 1000,
    steps: int = 100,
    seed: int = 0,
    width: int = 8,
    value: float = 0.5,
    **options: Any,
) -> Searched:
    kind = parse_task(task)
    sizes = {"input_size": kind.input_size, "output_size": kind.output_size}
    net = make_architecture(family, **sizes, width=width, **options)
    spec = StudySpec(
        task=kind.key, task_version=version, data_hash=data_hash, family=family, budget=budget,
        steps=steps, recipe=Recipe().table, sampler="tpe", pruner="asha",
        space=read_space(default_path(family)).table, seed=seed,
    )  # fmt: skip
    best = {
        "index": 1, "value": value, "config": net.config, "learning_rate": 1e-2, "on_edge": [],
    }  # fmt: skip
    return Searched(spec, best)


GOOD, FAIR, POOR = (0.95, 0.951, 0.952), (0.80, 0.801, 0.802), (0.60, 0.601, 0.602)


def three() -> tuple[list[list[Row]], list[str]]:
    """Rows of three families that differ surely, a list a family; and the order they rank in."""
    cnn, lstm, rnn = searched("dilated_cnn", depth=2), searched("lstm"), searched("dilated_rnn")
    rows = [
        [lstm.study(), *lstm.finals(*FAIR), lstm.speed(100.0)],
        [cnn.study(), *cnn.finals(*POOR), cnn.speed(250.0)],
        [rnn.study(), *rnn.finals(*GOOD), rnn.speed(40.0)],
    ]
    return rows, ["dilated_rnn", "lstm", "dilated_cnn"]


def flat(lists: list[list[Row]]) -> list[Row]:
    return [row for rows in lists for row in rows]


def lines(rows: list[Row]) -> list[Row]:
    return build(rows).to_dict("records")


def line(rows: list[Row], family: str = "lstm") -> Row:
    [found] = [x for x in lines(rows) if x["family"] == family]
    return found


@pytest.mark.parametrize("role", ["study", "final", "speed"])
def test_the_rows_made_here_have_the_keys_of_the_real_ones(role):
    one = searched()
    made = {"study": one.study(), "final": one.final(0, 0.5), "speed": one.speed(1.0)}
    assert made[role].keys() == real_rows()[role].keys()


def test_real_rows_make_a_board():
    [only] = lines(list(real_rows().values()))
    assert (only["family"], only["n"], only["rank_low"]) == ("dilated_cnn", 1, 1)
    assert only["test_mean"] == real_rows()["final"]["test"]
    assert only["train_per_s"] == real_rows()["speed"]["train_per_s"] > 0
    assert only["speed_ratio"] is None


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
    none = [searched("lstm", task=task, value=v, seed=s) for s, v in ((1, 0.9), (2, 0.2))]
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
    board = build([one.study(), *one.finals(*GOOD), other.study(), *other.finals(*POOR)])
    assert [(x["rank_low"], x["rank_high"]) for x in board.to_dict("records")] == [(1, 1), (1, 1)]
    assert [len(group) for group in columns.groups(board)] == [1, 1]
    assert columns.to_markdown(board).count("### ") == 2


@pytest.mark.parametrize("changes", [{"seed": 1}, {"family": "dilated_rnn"}])
def test_what_was_run_under_the_same_conditions_is_ranked_together(changes):
    one, other = searched(), searched(**changes)
    board = build([one.study(), *one.finals(*GOOD), other.study(), *other.finals(*POOR)])
    assert [len(group) for group in columns.groups(board)] == [2]
    assert [(x["rank_low"], x["rank_high"]) for x in board.to_dict("records")] == [(1, 1), (2, 2)]


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
    one, other = searched(seed=0), searched(seed=1)
    [first, second] = lines([one.study(), other.study(), *one.finals(*GOOD)])
    assert (first["n"], first["search_seed"]) == (3, 0)
    assert (second["n"], second["search_seed"]) == (0, 1)


def test_finals_that_diverged_are_counted_and_not_averaged():
    one = searched()
    [only] = lines([one.study(), *one.finals(0.8, None, 0.9, None)])
    assert (only["n"], only["diverged_finals"]) == (2, 2)
    assert only["test_mean"] == pytest.approx(0.85)
    assert only["tests"] == [0.8, 0.9]
    [only] = lines([one.study(), *one.finals(None, None)])
    assert (only["n"], only["diverged_finals"], only["test_mean"]) == (0, 2, None)
    assert only["rank_low"] is None


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
    assert "search only" in columns.to_markdown(build(rows))


def test_rows_without_a_study_make_no_line():
    one = searched()
    assert build([*one.finals(*GOOD), one.speed(3.0)]).empty
    assert build([]).empty


# -- gains, and what is left out ---------------------------------------------------------------


def at_random(one: Searched, seed: int = 0) -> Searched:
    """The same search by random draws without a pruner."""
    spec = dataclasses.replace(one.spec, sampler="random", pruner="none", seed=seed)
    return dataclasses.replace(one, spec=spec)


def test_the_gain_is_the_retrained_mean_over_the_random_start():
    one = searched()
    assert line([one.study(), *one.finals(0.8, 0.9)])["gain"] == pytest.approx(0.85 - 0.4)
    assert line([one.study()])["gain"] is None
    loss = searched(task="copy_memory:T=5")
    assert line([loss.study(), *loss.finals(0.1, 0.3)])["gain"] == pytest.approx(0.4 - 0.2)


def test_the_gain_over_random_search_is_over_the_random_study_of_the_same_space():
    tpe = searched()
    random_ = dataclasses.replace(at_random(tpe, seed=3), complete=9)
    short = at_random(tpe, seed=4)
    rows = [tpe.study(), *tpe.finals(0.9, 0.9), random_.study(), *random_.finals(0.7, 0.8),
            short.study(), *short.finals(0.1)]  # fmt: skip
    gains = {x["study"]: x["gain_over_random"] for x in lines(rows)}
    assert gains == {tpe.spec.identity: pytest.approx(0.15), random_.spec.identity: None,
                     short.spec.identity: None}  # fmt: skip
    text = columns.to_markdown(build(rows))
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
    rows = [tpe.study(), *tpe.finals(*GOOD), other.study(), *other.finals(*POOR)]
    assert {x["gain_over_random"] for x in lines(rows)} == {None}
    assert "over random search" not in columns.to_markdown(build(rows))


def test_a_board_says_what_it_left_out_and_why():
    first = searched(width=8)
    better = first.with_best(config=first.best["config"] | {"width": 9})
    wide, later = searched(budget=2000, steps=200), searched(version=2)
    rows = [first.study(), *first.finals(*POOR), better.study(), *better.finals(*GOOD),
            wide.study(), *wide.finals(*FAIR), later.study(), *later.finals(*FAIR)]  # fmt: skip
    text = columns.to_markdown(select(build(rows), budget=1000))
    assert "Left out: lstm (3 finals of a net that is no longer the best)." in text
    assert "Ranked apart, never with these: 2,000 parameters, 200 steps; task version 2." in text


def test_a_test_result_that_is_no_number_counts_as_diverged():
    one = searched()
    [only] = lines([one.study(), one.final(0, math.nan), one.final(1, 0.9)])
    assert (only["n"], only["diverged_finals"], only["test_mean"]) == (1, 1, 0.9)


def test_the_correlation_with_mrl_stands_below_the_board_of_a_random_search():
    one = at_random(searched())
    trials = [{"index": i, "value": 0.9 - 0.1 * i, "mrl": 3.0 + i, "config": {}, "learning_rate": 1}
              for i in range(4)]  # fmt: skip
    board = build([one.study(complete=trials)])
    assert board["mrl_correlation"][0]["lstm"]["rho"] == pytest.approx(-1)
    assert "over random trials, lstm: -1.00 (n = 4, no interval)" in columns.to_markdown(board)


# -- speed -------------------------------------------------------------------------------------


def test_the_speed_ratio_is_to_the_lstm_of_the_same_session():
    rows, _ = three()
    ratios = {x["family"]: x["speed_ratio"] for x in lines(flat(rows))}
    assert ratios == {"dilated_rnn": 0.4, "lstm": 1.0, "dilated_cnn": 2.5}


def test_the_speed_ratio_may_be_to_any_family():
    rows, _ = three()
    board = build(flat(rows), base="dilated_cnn")
    ratios = dict(zip(board["family"], board["speed_ratio"], strict=True))
    assert ratios == pytest.approx({"dilated_rnn": 0.16, "lstm": 0.4, "dilated_cnn": 1.0})
    shown = budgets.to_text(board, "dilated_cnn", csv=False)
    [_, _, *body] = table(shown)
    assert dict(body)["dilated_rnn"] == "95.1 ± 0.2 [{:,}, 0.16x, {:.1f}]".format(
        *board[board["family"] == "dilated_rnn"][["parameters", "mrl"]].iloc[0]
    )
    assert "training speed/dilated_cnn, MRL over the spans 1 to 63" in shown
    one = budgets.to_records(board, "dilated_cnn")[0]
    assert (one["speed_ratio"], one["speed_base"]) == (pytest.approx(0.16), "dilated_cnn")


def test_budgets_side_by_side_stand_as_they_rank_at_the_largest():
    small, large = searched("lstm", value=0.9), searched("lstm", budget=2000, width=12, value=0.1)
    other = searched("gru", budget=2000, width=12, value=0.5)
    only_small = searched("rnn", value=0.95)
    rows = [small.study(), *small.finals(0.9, 0.91), large.study(), *large.finals(0.3, 0.31),
            other.study(), *other.finals(0.5, 0.51),
            only_small.study(), *only_small.finals(0.8, 0.81)]  # fmt: skip
    [_, _, *body] = table(budgets.to_text(build(rows), "lstm", csv=False))
    assert [family for family, *_ in body] == ["gru", "lstm", "rnn"]


def test_a_terminal_of_80_columns_shows_whole_cells_and_says_what_it_dropped():
    rows, order = three()
    console = Console(width=80, record=True, file=io.StringIO())
    print_board(console, build(flat(rows)))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    head = next(x for x in text.splitlines() if "family" in x)
    assert "test accuracy % ↑" in head
    assert "train seq/s ↑" in head
    assert "Not shown at this width: infer seq/s ↑" in text
    assert [x.split()[:2] for x in text.splitlines() if x.strip().startswith(("1 ", "2 ", "3 "))] \
        == [[str(i), family] for i, family in enumerate(order, 1)]  # fmt: skip


def test_a_terminal_marks_ties_and_what_is_best():
    one, other = searched("lstm"), searched("dilated_rnn")
    rows = [one.study(), *one.finals(0.80, 0.84), one.speed(9.0),
            other.study(), *other.finals(0.81, 0.85), other.speed(3.0)]  # fmt: skip
    console = Console(width=200, force_terminal=True, file=io.StringIO(), no_color=True)
    print_board(console, build(rows))
    text = console.file.getvalue()
    assert text.count("=1–2") == 2
    worse = searched("gru")
    console = Console(width=200, force_terminal=True, file=io.StringIO(), no_color=True)
    print_board(console, build([*one_of_each(one, GOOD, 3.0), *one_of_each(worse, POOR, 9.0)]))
    gru = next(x for x in console.file.getvalue().splitlines() if "gru" in x)
    assert "\x1b[1m" in gru.partition("gru")[2]  # its speed is the best
    assert "\x1b[1m" not in gru.partition("gru")[0]


def one_of_each(one: Searched, tests: tuple[float, ...], per_s: float) -> list[Row]:
    return [one.study(), *one.finals(*tests), one.speed(per_s)]


@pytest.mark.parametrize(
    "lstm",
    [
        pytest.param(lambda: searched("lstm").speed(100.0, session="s2"), id="another session"),
        pytest.param(lambda: searched("lstm", budget=2000).speed(100.0), id="another budget"),
        pytest.param(lambda: searched("lstm").speed(100.0, threads=4), id="more threads"),
        pytest.param(lambda: searched("dilated_cnn", depth=2).speed(100.0), id="no lstm"),
    ],
)
def test_there_is_no_speed_ratio_without_an_lstm_beside(lstm: Callable[[], Row]):
    rnn = searched("dilated_rnn")
    rows = [rnn.study(), *rnn.finals(*GOOD), rnn.speed(40.0), lstm()]
    assert line(rows, "dilated_rnn")["train_per_s"] == 40.0
    assert line(rows, "dilated_rnn")["speed_ratio"] is None


def test_the_latest_speed_of_one_thread_is_shown():
    one = searched()
    rows = [one.study(), *one.finals(*GOOD), one.speed(1.0, session="s1"),
            one.speed(2.0, session="s2"), one.speed(9.0, session="s2", threads=4)]  # fmt: skip
    assert (line(rows)["train_per_s"], line(rows)["infer_per_s"]) == (2.0, 6.0)
    assert line(rows)["threads"] == 1


LATER = ("latency_ms", "stream_us", "peak_memory_mb")


def test_speeds_that_were_measured_before_there_was_more_to_measure_still_make_a_board():
    rows, _ = three()
    new, titles = flat(rows), ["latency ms", "stream µs", "peak MiB"]
    old = [{k: v for k, v in row.items() if not k.startswith(LATER)} for row in new]
    assert set(titles) <= set(table(columns.to_markdown(build(new)))[0])
    assert not set(titles) & set(table(columns.to_markdown(build(old)))[0])
    found = line(old, "lstm")
    assert found["train_per_s"] == 100.0
    assert [found[key] for key in LATER] == [None] * 3
    mixed = [a if a["family"] == "lstm" else b for a, b in zip(old, new, strict=True)]
    head, _, *body = table(columns.to_markdown(build(mixed)))
    shown = {row[1]: row[head.index("peak MiB")] for row in body}
    assert shown == {"lstm": "–", "dilated_cnn": "50.0", "dilated_rnn": "50.0"}


OTHER_MACHINE = {"processor": "Processor B, 64 cores"}


@pytest.mark.parametrize(
    "other", [OTHER_MACHINE, {"device": "cuda"}, {"torch": "9.9.9"}, {"dtype": "float16"}]
)
def test_speeds_of_different_hardware_are_not_shown_together(other):
    rows, _ = three()
    for row in rows[0]:
        if row["role"] == "speed":
            row.update(other)
    found = {x["family"]: x for x in lines(flat(rows))}
    for family, per_s in (("dilated_rnn", 40.0), ("dilated_cnn", 250.0)):
        assert found[family]["train_per_s"] == per_s
    for key in ("train_per_s", "infer_per_s", "speed_ratio", *LATER):
        assert found["lstm"][key] is None


def on_two_machines(rows: list[list[Row]], family: str) -> list[Row]:
    """The same rows, one family timed on another machine than the rest."""
    return [
        row | OTHER_MACHINE if (row["role"], row["family"]) == ("speed", family) else row
        for row in flat(rows)
    ]


def test_the_caption_names_the_hardware_of_the_speeds_that_are_shown():
    rows, order = three()
    text = columns.to_markdown(build(on_two_machines(rows, order[0])))
    assert "Speed: Processor A" in text
    assert "Speed: Processor B" not in text
    assert f"Left out: {order[0]} (speed measured elsewhere (Processor B" in text


def test_speeds_of_different_hardware_are_not_shown_together_without_finals_either():
    rows, order = three()
    rows = on_two_machines(rows, order[0])
    rows = [r for r in rows if r["role"] != "final" or r["family"] != order[0]]
    shown = [x["family"] for x in lines(rows) if x["train_per_s"] is not None]
    assert sorted(shown) == sorted(order[1:])


def test_a_busy_machine_is_said_to_have_been_busy():
    one = searched()
    rows = [one.study(), *one.finals(*GOOD)]
    assert "on an idle machine" in columns.to_markdown(build([*rows, one.speed(1.0)]))
    assert "BUSY" in columns.to_markdown(build([*rows, one.speed(1.0, machine="busy")]))


# -- renderings --------------------------------------------------------------------------------

JSON_KEYS = (
    {"rank_low", "rank_high", "task", "family", "architecture", "config", "budget", "parameters"}
    | {"width", "metric", "direction", "test_mean", "test_low", "test_high", "n"}
    | {"validation_best", "train_per_s", "infer_per_s", "speed_ratio", "mrl", "reach"}
    | {"recurrent_edges_per_node", "sequential_steps", "trials"}
)
WHOLE = {"rank_low", "rank_high", "budget", "parameters", "width", "n", "reach",
         "sequential_steps", "steps", "task_version", "mrl_horizon", "diverged_finals"}  # fmt: skip


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_json_has_every_promised_key_and_is_strict_json():
    rows, order = three()
    untested = searched("clockwork_rnn", modules=2)
    text = columns.to_json(build([*flat(rows), untested.study()]))
    found = json.loads(text, parse_constant=refuse)
    assert [x["family"] for x in found] == [*order, "clockwork_rnn"]
    for one in found:
        assert one.keys() >= JSON_KEYS
        assert one["trials"] == {
            "complete": 3, "pruned": 2, "diverged": 1, "failed": 0, "infeasible": 0, "duplicate": 0,
        }  # fmt: skip
        for key in WHOLE:
            assert one[key] is None or type(one[key]) is int, (key, one[key])
        assert isinstance(one["config"], dict)
    by_family = {x["family"]: x for x in found}
    assert by_family["dilated_cnn"]["mrl"] == "inf"  # it sees 3 steps back, of 63
    assert by_family["dilated_cnn"]["reach"] == 3
    assert by_family["lstm"]["reach"] is None
    assert by_family["clockwork_rnn"]["rank_low"] is None
    assert by_family["clockwork_rnn"]["test_mean"] is None
    assert by_family["lstm"]["config"] == searched("lstm").best["config"]


def test_csv_has_a_line_a_study_and_its_nested_cells_are_json():
    rows, order = three()
    board = build(flat(rows))
    found = list(csv.DictReader(io.StringIO(columns.to_csv(board))))
    assert [x["family"] for x in found] == order
    assert found[0].keys() == set(board)
    for text, line_ in zip(found, board.to_dict("records"), strict=True):
        for key in columns.NESTED:
            assert json.loads(text[key]) == line_[key]
        assert int(text["rank_low"]) == line_["rank_low"]
        assert float(text["test_mean"]) == line_["test_mean"]
    assert (found[2]["mrl"], found[1]["reach"]) == ("inf", "")


def table(markdown: str) -> list[list[str]]:
    """The cells of the one table in a text."""
    found = [line_ for line_ in markdown.splitlines() if line_.startswith("|")]
    return [[cell.strip() for cell in line_.strip("|").split("|")] for line_ in found]


def test_markdown_is_a_table_with_as_many_cells_in_each_row():
    rows, order = three()
    untested = searched("clockwork_rnn", modules=2)
    cells = table(columns.to_markdown(build([*flat(rows), untested.study()])))
    assert len(cells) == 2 + 4
    # Accuracy stands once, each family too, and no random search has been run.
    assert {len(row) for row in cells} == {len(columns.COLUMNS) - 3}
    head, rule, *body = cells
    assert all(set(cell) <= set(":-") and "-" in cell for cell in rule)
    assert [row[1] for row in body] == [*order, "clockwork_rnn"]
    shown = [dict(zip(head, row, strict=True)) for row in body]
    assert [row["rank"] for row in shown] == ["1", "2", "3", columns.MISSING]
    assert shown[0]["test accuracy % ↑"] == "95.1 ± 0.2"
    assert shown[0]["speed/lstm"] == "0.40x"
    assert shown[2]["MRL"] == "∞"
    assert shown[3]["test accuracy % ↑"] == "search only"
    assert shown[3]["train seq/s"] == columns.MISSING
    assert shown[0]["trials"] == "3+2 (1 diverged)"


def test_markdown_of_a_loss_counts_in_nats_downwards():
    one = searched(task="copy_memory:T=5")
    cells = table(columns.to_markdown(build([one.study(), *one.finals(1.25, 1.75)])))
    [row] = cells[2:]
    shown = dict(zip(cells[0], row, strict=True))
    assert shown["test nats ↓"].startswith("1.5000 ± ")
    assert shown["test s.e."] == columns.MISSING


def test_shared_ranks_are_shown_as_a_range():
    one, other = searched("lstm"), searched("dilated_rnn")
    rows = [one.study(), *one.finals(0.8), other.study(), *other.finals(0.7)]
    assert [row[0] for row in table(columns.to_markdown(build(rows)))[2:]] == ["1–2", "1–2"]


def test_the_caption_says_what_one_must_know():
    edgy = searched().with_best(on_edge=["depth"])
    rows = [edgy.study(), *edgy.finals(0.8, 0.9, None), edgy.speed(3.0)]
    text = columns.to_markdown(build(rows))
    for said in (
        "2 fresh seeds",
        "Holm",
        "Conditional on one search per family",
        Recipe().words,
        "Sampler tpe, pruner asha",
        "spans 1 to 63",
        "not gradient decay",
        "Processor A",
        "edge of its range: lstm (depth)",
        "diverged, not in the mean: lstm (1)",
        "0123456789abcdef",
        "bench run --task pixel_digits --family lstm --budget 1000 --steps 100 --trials 5",
    ):
        assert said in text


def test_each_kind_of_search_has_a_command_that_makes_it_again():
    one, other, wild = searched(), searched("gru"), at_random(searched(), seed=7)
    text = columns.to_markdown(build([one.study(), other.study(), wild.study()]))
    again = [line_.strip() for line_ in text.splitlines() if line_.startswith("    bench run")]
    where = "--budget 1000 --steps 100 --trials 5 --seeds 1"
    assert sorted(again) == [
        f"bench run --task pixel_digits --family gru --family lstm {where} "
        "--sampler tpe --pruner asha --seed 0",
        f"bench run --task pixel_digits --family lstm {where} "
        "--sampler random --pruner none --seed 7",
    ]
    board = build([one.study(), other.study(), wild.study()])
    assert "of several searches" in budgets.to_text(board, "lstm", csv=False)


def test_a_search_space_of_ones_own_comes_with_its_command(tmp_path):
    """What stands on the board is a shell's: it writes the file that its command reads."""
    rate = {"low": 1e-4, "high": 1.0, "log": True}
    table = {"depth": {"low": 2, "high": 3}, "learning_rate": rate}
    recipe = Recipe(optimizer="rmsprop", clip_norm=math.inf)
    one = searched()
    spec = dataclasses.replace(one.spec, space=table, recipe=recipe.table)
    own = dataclasses.replace(one, spec=spec)
    shell = again(build([one.study(), own.study()]).to_dict("records"))
    write, _, runs = shell.partition("\nbench run")
    subprocess.run(["sh", "-c", write], cwd=tmp_path, check=True)
    [path] = tmp_path.iterdir()
    assert f"--search-space {path.name} --budget 1000" in runs
    assert runs.count("--search-space") == 1
    assert "--family lstm --budget 1000" in runs
    space = read_space(path)
    assert (space.family, space.table, space.recipe) == ("lstm", table, recipe)


def different_studies() -> list[list[Row]]:
    """Rows of several studies in several groups, with ties."""
    twin = searched("lstm", seed=5)
    mnist = searched("lstm", task="pixel_mnist")
    wide = searched("dilated_rnn", budget=2000, width=12)
    return [
        *three()[0],
        [twin.study(), *twin.finals(*FAIR), twin.speed(101.0, session="s2")],
        [mnist.study(), *mnist.finals(*FAIR)],
        [wide.study(), *wide.finals(0.5, 0.7)],
        [searched("clockwork_rnn", modules=2, value=0.3).study()],
        [searched("clockwork_rnn", modules=3, value=0.4, seed=6).study()],
    ]


@pytest.mark.parametrize("render", [columns.to_csv, columns.to_markdown, columns.to_json])
def test_the_order_of_studies_in_the_records_does_not_matter(render):
    rows = different_studies()
    text = render(build(flat(rows)))
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert render(build(flat(rows))) == text


def test_the_order_of_studies_without_finals_does_not_matter_where_they_tie():
    one, other = searched("lstm").study(), searched("dilated_rnn").study()
    assert columns.to_csv(build([one, other])) == columns.to_csv(build([other, one]))


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
    board = build([one.study(), other.study(), searched().study()])
    assert len(select(board, task="copy_memory")) == 2
    assert select(board, task="copy_memory:T=50")["task"].tolist() == ["copy_memory:T=50"]


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


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_publishing_writes_the_records_of_the_task_and_both_boards(tmp_path):
    rows = flat(different_studies())
    path = publish.publish(rows, "pixel_digits", tmp_path)
    assert path == tmp_path / "pixel_digits.md"
    assert content(tmp_path).keys() == {
        "pixel_digits.md", "pixel_digits.csv", "records/pixel_digits.jsonl",
    }  # fmt: skip
    mine = [row for row in rows if row["task"] == "pixel_digits"]
    assert records.read(tmp_path / "records" / "pixel_digits.jsonl") == (mine, [])
    assert path.with_suffix(".csv").read_text() == columns.to_csv(build(mine))
    assert columns.to_markdown(build(mine)) in path.read_text()
    assert "pixel_mnist" not in path.read_text()


def test_published_boards_are_read_like_a_runs_folder(tmp_path):
    rows = flat(different_studies())
    tasks = {row["task"] for row in rows}
    for task in tasks:
        publish.publish(rows, task, tmp_path)
    assert len(tasks) > 1
    read, notes = records.read_folder(tmp_path)
    assert {row["id"] for row in read} == {row["id"] for row in rows}
    assert notes == []
    assert set(leaderboard(tmp_path)["task"]) == tasks


def test_publishing_again_changes_no_byte_and_doubles_no_record(tmp_path):
    rows = flat(three()[0])
    publish.publish(rows, "pixel_digits", tmp_path)
    before = content(tmp_path)
    publish.publish(rows, "pixel_digits", tmp_path)
    assert content(tmp_path) == before
    publish.publish([], "pixel_digits", tmp_path)
    assert content(tmp_path) == before


def test_publishing_more_adds_to_what_is_there(tmp_path):
    first, second, third = three()[0]
    publish.publish(first, "pixel_digits", tmp_path)
    before = content(tmp_path)["records/pixel_digits.jsonl"]
    # Another machine's runs folder, which holds some of the same rows.
    publish.publish([*third, *first, *second], "pixel_digits", tmp_path)
    after = content(tmp_path)["records/pixel_digits.jsonl"]
    assert after.startswith(before)
    assert len(after.splitlines()) == len([*first, *second, *third])
    assert len(table((tmp_path / "pixel_digits.md").read_text())) == 2 + 3


def test_who_runs_less_of_a_published_search_displaces_nothing(tmp_path):
    whole = dataclasses.replace(searched(), complete=28)
    published = [whole.study(), *whole.finals(*GOOD)]
    publish.publish(published, "pixel_digits", tmp_path)
    before = build(records.read_folder(tmp_path)[0]).to_dict("records")
    part = dataclasses.replace(whole, complete=8, best=searched(width=11).best)
    publish.publish(
        [part.study(), *part.finals(0.1), *whole.finals(*POOR)], "pixel_digits", tmp_path
    )
    [line] = build(records.read_folder(tmp_path)[0]).to_dict("records")
    assert line["tests"] == before[0]["tests"]
    assert (line["width"], line["trials"]) == (before[0]["width"], before[0]["trials"])


def test_boards_of_a_task_with_different_options_are_different_files(tmp_path):
    for length in (5, 50):
        one = searched(task=f"copy_memory:T={length}")
        publish.publish([one.study()], one.spec.task, tmp_path)
    assert {path.name for path in tmp_path.glob("*.md")} == {
        "copy_memory-T=5.md", "copy_memory-T=50.md",
    }  # fmt: skip
    assert publish.check(tmp_path) == []


@pytest.mark.parametrize("suffix", ["md", "csv"])
def test_a_board_edited_by_hand_is_found_and_named(tmp_path, suffix):
    publish.publish(flat(three()[0]), "pixel_digits", tmp_path)
    assert publish.check(tmp_path) == []
    board = tmp_path / f"pixel_digits.{suffix}"
    board.write_text(board.read_text().replace("95.1", "99.1").replace("0.951", "0.991"))
    [said] = publish.check(tmp_path)
    assert said.startswith(f"{board}: differs")
    assert len(said.splitlines()) == 1
    board.unlink()
    assert publish.check(tmp_path) == [f"{board}: missing"]


def test_records_that_changed_under_a_board_are_found(tmp_path):
    first, second, _ = three()[0]
    publish.publish(first, "pixel_digits", tmp_path)
    records.append(tmp_path / "records" / "pixel_digits.jsonl", second)
    assert len(publish.check(tmp_path)) == 2


@pytest.mark.parametrize("left", ["", "not a row\n", "finals"])
def test_records_that_make_no_board_are_named(tmp_path, left):
    one = searched()
    publish.publish([one.study(), *one.finals(*GOOD)], "pixel_digits", tmp_path)
    path = tmp_path / "records" / "pixel_digits.jsonl"
    path.write_text(left if left != "finals" else "")
    if left == "finals":
        records.append(path, one.finals(*GOOD))
    said = publish.check(tmp_path)
    assert said
    assert all(str(path) in line_ for line_ in said)


def test_a_folder_without_records_has_nothing_to_check(tmp_path):
    with pytest.raises(UserError, match="no records"):
        publish.check(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        publish.publish(flat(three()[0]), "pixel_digits", tmp_path)


def test_a_file_in_the_way_of_the_boards_is_said(tmp_path):
    (tmp_path / "boards").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        publish.publish(flat(three()[0]), "pixel_digits", tmp_path / "boards")


def test_every_line_carries_what_it_is_grouped_by():
    board = build(flat(three()[0]))
    assert set(GROUP) <= set(board)
    assert isinstance(board, pd.DataFrame)
    assert not any(isinstance(x, float) and math.isnan(x) for x in board.to_numpy().ravel())


def test_accuracy_stands_beside_another_metric_and_guessing_below_it():
    one = searched("lstm", task="copy_memory:T=500")
    text = columns.to_markdown(build([one.study(), *one.finals(*GOOD)]))
    head = table(text)[0]
    assert "test nats ↓" in head
    assert "accuracy %" in head
    assert "Guessing costs 2.0794." in text


# -- what is written about the boards ------------------------------------------------------------


def test_what_is_published_is_what_its_records_give_and_is_quoted_as_it_stands():
    assert publish.check(ROOT / "leaderboards") == []
    published = "".join(p.read_text() for p in sorted((ROOT / "leaderboards").glob("*.md")))
    for name in ("README.md", "docs/results.md"):
        text = (ROOT / name).read_text()
        quoted = re.findall(r"\d+\.\d+ ± \d+\.\d+", text)
        quoted += re.findall(r"[-+]\d\.\d+ \([-+]\d\.\d+ to [-+]\d\.\d+, n = \d+\)", text)
        assert quoted
        plain = published.replace("95 % interval ", "")
        assert [words for words in quoted if words not in plain] == []
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if "=" in line[-90:]]
    rows = [row for row in rows if row.startswith("| ") and "±" in row]
    assert len(rows) == 10
    assert all(row in published for row in rows)
