"""How many architectures a space holds, and which a budget refuses: against loops by hand."""

from __future__ import annotations

import contextlib
import json
import math
import warnings

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.cli import ls
from drnn_bench.errors import UserError
from drnn_bench.jobs.plan import check_feasible
from drnn_bench.models.budget import Infeasible, solve_width
from drnn_bench.results.significance import share_interval
from drnn_bench.search.feasible import (
    EXAMPLES,
    SAMPLE,
    candidates,
    count_feasible,
)
from drnn_bench.search.space_file import default_path, make_space, read_space
from drnn_bench.tasks.registry import parse_task
from tests.support.refused import refusal

DIGITS = parse_task("pixel_digits")


def space_of(family: str, **entries):
    return make_space({"family": family, "space": {"learning_rate": 1e-3, **entries}})


def dilated_by_hand(length: int) -> set[tuple]:
    """What the shipped space of dilated RNNs may draw, from its file's comments."""
    found = set()
    for cell in ("rnn", "gru", "lstm"):
        for base in (2, 3, 4):
            for start in range(4):
                for depth in range(2, 13):
                    room = base ** (depth - 1 + start) < length
                    for fusion in (None, False, True) if room else ():
                        for init in ("orthogonal", "paper") if cell == "rnn" else (None,):
                            if (fusion is None) == (start == 0):
                                found.add((cell, base, start, depth, fusion, init))
    return found


@pytest.mark.parametrize("length", [64, 784])
def test_the_shipped_space_of_dilated_nets_holds_what_its_file_says(length):
    found = candidates(read_space(default_path("dilated_rnn")), length)
    keys = ("cell", "base", "start", "depth", "fusion", "init")
    listed = [tuple(c.options.get(key) for key in keys) for c in found.shown]
    assert found.whole
    assert len(listed) == len(set(listed)) == found.held
    assert set(listed) == dilated_by_hand(length)


def numbers(low: int, high: int):
    """One option as a file may give it: fixed, choices, or a range."""
    one = st.integers(low, high)
    ranges = st.tuples(one, one).map(lambda p: {"low": min(p), "high": max(p)})
    return st.one_of(one, st.lists(one, min_size=1, max_size=3, unique=True), ranges)


@settings(max_examples=25)
@given(
    numbers(1, 3), numbers(0, 3), numbers(1, 6), st.sampled_from(["start > 0", "base == 2"]),
    st.integers(2, 40), st.integers(0, 1000),
)  # fmt: skip
def test_what_is_listed_is_what_can_be_drawn(base, start, depth, when, length, seed):
    fusion = {"choices": [False, True], "when": when}
    space = space_of("dilated_rnn", base=base, start=start, depth=depth, fusion=fusion)
    listed = candidates(space, length).shown
    asked = [tuple(sorted(c.params.items())) for c in listed]
    assert len(asked) == len(set(asked))
    # Whatever is drawn is listed ...
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in range(30):
        trial = study.ask()
        with contextlib.suppress(Infeasible):
            space.options(trial, length)
        assert tuple(sorted(trial.params.items())) in asked
    # ... and whatever is listed can be drawn, within every range.
    for candidate in listed:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trial = optuna.trial.FixedTrial(candidate.params)
            if candidate.refusal:
                with pytest.raises(Infeasible):
                    space.options(trial, length)
            else:
                drawn = space.options(trial, length)
                assert drawn == candidate.options | {"learning_rate": 1e-3}
        assert trial.params == candidate.params


def skips_by_hand(length: int) -> int:
    return sum(
        skip * base ** (depth - 1) < length
        for skip in range(1, 257)
        for base in (1, 2, 4)
        for depth in range(1, 10)
    )


def test_a_large_space_is_counted_whole_and_tried_in_part():
    space, task = read_space(default_path("skip_rnn")), parse_task("pixel_mnist")
    found = count_feasible(space, task, 21_300)
    assert found.held == skips_by_hand(784) > found.tried == SAMPLE
    assert found.interval[0] < found.share == 1 == found.interval[1]
    assert found.words == f"about 100% of {found.held:,}"
    assert candidates(space, 784).shown == candidates(space, 784).shown


def test_a_space_without_end_is_judged_by_random_draws():
    space = space_of("tcn", dropout={"low": 0.0, "high": 0.5}, depth=[1, 2])
    found = count_feasible(space, DIGITS, 5_000, sample=20)
    assert (found.held, found.tried, found.words) == (None, 20, "about 100% of draws")
    rates = {c.options["dropout"] for c in candidates(space, 64, sample=20).shown}
    assert len(rates) == 20
    assert all(0 <= rate <= 0.5 for rate in rates)


def test_the_refused_are_counted_by_reason_with_a_few_of_them():
    space = space_of("lstm", depth={"low": 1, "high": 8})
    found = count_feasible(space, DIGITS, 60)
    feasible, said = [], []
    for depth in range(1, 9):
        try:
            solve_width("lstm", {"depth": depth}, input_size=1, output_size=10, budget=60)
            feasible.append(depth)
        except Infeasible as error:
            said.append((error.reason, str(error)))
    assert (found.held, found.tried, found.feasible) == (8, 8, len(feasible))
    assert found.words == f"{len(feasible)} of 8"
    assert sum(refused.count for refused in found.refused) == len(said)
    assert [r.count for r in found.refused] == sorted(
        (r.count for r in found.refused), reverse=True
    )
    for refused in found.refused:
        told = [words for reason, words in said if reason == refused.reason]
        assert refused.count == len(told)
        assert [words for _, words in refused.examples] == told[:EXAMPLES]
    assert "too small" in found.refused[0].reason


@pytest.mark.parametrize(("hits", "count"), [(0, 50), (3, 50), (50, 50), (199, 200)])
def test_the_interval_of_a_share_is_wilsons(hits, count):
    z, p = 1.959963984540054, hits / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + (z / (2 * count)) ** 2)
    assert share_interval(hits, count) == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_a_space_in_which_nothing_is_feasible_names_the_smallest_budget_that_works():
    space = space_of("lstm", depth=[3, 2, 4])
    said = refusal(check_feasible, space, DIGITS, 40)
    assert "nothing in the search space of lstm is feasible at budget 40 on pixel_digits" in said
    assert "works here is about 44 " in said
    check_feasible(space, DIGITS, 44)


def test_ls_space_tells_it_in_words_and_in_json(typed, capsys, tmp_path):
    words = ("ls", "space", "lstm", "--task", "pixel_digits", "--budget", "56")
    told = json.loads(typed(*words, "--json").stdout)
    found = count_feasible(read_space(default_path("lstm")), DIGITS, 56)
    assert 0 < found.feasible < 8
    assert (told["architectures"], told["tried"], told["feasible"]) == (8, 8, found.feasible)
    assert told["share"] == told["share_low"] == told["share_high"] == found.feasible / 8
    assert sum(refused["count"] for refused in told["refused"]) == 8 - found.feasible
    for group, refused in zip(told["refused"], found.refused, strict=True):
        assert group["reason"] == refused.reason
        assert [(e["architecture"], e["said"]) for e in group["examples"]] == [*refused.examples]

    ls.ls_space("lstm", "pixel_digits", "56")
    said = capsys.readouterr().out
    assert said.startswith("lstm on pixel_digits at 56 parameters: 8 architectures\n")
    assert f"feasible: {found.feasible}, all of them tried" in said
    assert "needs at least 68 parameters" in said

    # A file of one's own, and data that has to be read for its sizes.
    mine, text = tmp_path / "mine.toml", tmp_path / "book.txt"
    mine.write_text('family = "lstm"\n[space]\nlearning_rate = 1e-3\ndepth = [1, 2, 3]\n')
    text.write_text("to be or not to be, that is the question. " * 600)
    ls.ls_space("lstm", f"char_text:path={text}", "20k", str(mine))
    assert ": 3 architectures\nfeasible: 3," in capsys.readouterr().out
    with pytest.raises(UserError, match="is of family 'lstm', not 'gru'"):
        ls.ls_space("gru", "pixel_digits", "5k", str(mine))
