"""What a board says to take: never more than its ranks say, and in every case something."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.board.net_words import net_words
from drnn_bench.board.verdict import Verdict, verdicts
from drnn_bench.results.ranking import rank_rows
from drnn_bench.results.significance import holm, welch_p
from tests.support.searched import FAIR, GOOD, POOR, flat, one_of_each, searched, three

FAMILIES = ("dilated_rnn", "lstm", "gru", "s4d")
KEYS = {"task", "budget", "steps", "take", "architecture", "metric", "mean", "low", "high",
        "parameters", "not_told_apart", "behind", "reason", "budgets", "warnings", "next",
        "headline", "details"}  # fmt: skip
BUDGETS = (1000, 2000)
# Means of families lie around a few places, so that some are told apart and some are not.
TESTS = st.builds(
    lambda place, offsets: [None if x is None else place + x for x in offsets],
    st.sampled_from([0.1, 0.5, 0.9]),
    st.lists(st.sampled_from([None, 0.0, 0.01, 0.02, 0.05]), max_size=4),
)


@cache
def one_search(task: str, family: str, budget: int):
    return searched(family, task=task, budget=budget, depth=2)


@cache
def row(task: str, family: str, budget: int, what: str, *values):
    """A row of a search; hypothesis asks for the same ones many times."""
    return getattr(one_search(task, family, budget), what)(*values)


@st.composite
def boards(draw):
    """Up to two budgets of one task; families with any finals, costs and machines."""
    task, rows = draw(st.sampled_from(["pixel_digits", "copy_memory:T=5"])), []
    protocol = draw(st.sampled_from([1, 2]))
    for budget in BUDGETS[: draw(st.integers(1, 2))]:
        for family in draw(st.lists(st.sampled_from(FAMILIES), min_size=1, unique=True)):
            one = (task, family, budget)
            tests = draw(TESTS)
            rows.append(row(*one, "study") | {"protocol": protocol})
            rows += [row(*one, "final", seed, test) for seed, test in enumerate(tests)]
            machine = draw(st.sampled_from(["idle", "busy", None]))
            if machine is not None:
                per_s = draw(st.sampled_from([1.0, 1.3, 50.0]))
                rows.append(row(*one, "speed", per_s) | {"machine": machine})
            if draw(st.integers(0, 5)) == 0:
                rows.append(row(*one, "final", 9, None) | {"state": "failed", "reason": "x"})
    return rank_rows(rows)


@settings(max_examples=40)
@given(boards())
def test_a_verdict_says_what_the_ranks_say_and_no_more(groups):
    for group, verdict in zip(groups, verdicts(groups, "runs"), strict=True):
        lines = {line.family: line for line in group.lines if line.rank_low is not None}
        tied = [x.family for x in verdict.not_told_apart]
        behind = [x.family for x in verdict.behind]
        took = [] if verdict.take is None else [verdict.take]
        assert sorted([*took, *tied, *behind]) == sorted(lines)  # each ranked family once
        if not lines:
            continue
        best = next(iter(lines.values()))
        assert all(lines[family].rank_low == 1 for family in took)
        for family in behind:
            assert lines[family].rank_low > 1
            assert best.rank_high < len(lines)
        for family in tied:
            assert lines[family].rank_low <= best.rank_high
        if group.protocol == 1:
            assert set(behind) == surely_worse(list(lines.values()))


def surely_worse(lines) -> set[str]:
    """The families that Welch's test with Holm's correction tells apart from the first."""
    pairs = [(a, b) for i, a in enumerate(lines) for b in lines[:i]]
    sure = holm([welch_p(a.tests, b.tests) for a, b in pairs])
    apart = [pair for pair, differ in zip(pairs, sure, strict=True) if differ]
    return {a.family for a, b in apart if b is lines[0]}


@settings(max_examples=40)
@given(boards())
def test_a_verdict_has_its_keys_its_words_and_its_commands_in_every_case(groups):
    for verdict in verdicts(groups, "my runs"):
        data = json.loads(json.dumps(verdict.json, allow_nan=False))
        assert data.keys() == KEYS
        assert data["reason"].endswith(".")
        said = [verdict.headline + verdict.details, *verdict.next]
        assert verdict.next
        assert not re.search(r"\b(nan|None|inf)\b|∞|–|\s\s|\n", " ".join(said))
        assert (verdict.take is None) == verdict.headline.startswith("Take none")
        for command in verdict.next:
            words = shlex.split(command)
            assert words[:2] in (["bench", "report"], ["bench", "run"])
            assert verdict.task in words
            assert words[words.index("--runs-dir") + 1] == "my runs"


def one_verdict(*rows) -> Verdict:
    (verdict,) = verdicts(rank_rows(flat(list(rows))), "runs")
    return verdict


def test_families_that_differ_surely_are_taken_and_behind():
    rows, order = three()
    verdict = one_verdict(*rows)
    assert verdict.headline == f"Take {order[0]}"
    assert verdict.details == (
        " (GRU cells, base 2, start 0, 9 layers of 8): 95.1 ± 0.2 % with "
        f"{verdict.parameters:,} parameters. Behind: lstm (80.1 ± 0.2 %), "
        f"dilated_cnn (60.1 ± 0.2 %). {FEW_TRIALS}"
    )
    assert [x.family for x in verdict.behind] == order[1:]
    assert verdict.behind[0].difference == pytest.approx(0.15)
    assert verdict.reason == "It is told apart from every other family."


def test_families_that_share_ranks_may_still_be_told_apart():
    """The best and the last are a pair that is told apart, though a third lies across both."""
    wide = searched("gru")
    rows = [one_of_each(searched("lstm"), GOOD, 1.0), one_of_each(searched("s4d"), POOR, 1.0),
            one_of_each(wide, (0.2, 0.9, 0.95), 1.0)]  # fmt: skip
    (group,) = rank_rows(flat(rows))
    assert group.first.rank_high == 2
    verdict = one_verdict(*rows)
    assert [x.family for x in verdict.not_told_apart] == ["gru"]
    assert [x.family for x in verdict.behind] == ["s4d"]


def test_where_none_is_told_apart_what_they_cost_decides():
    slow, fast = searched("lstm", depth=3), searched("gru")
    verdict = one_verdict(
        one_of_each(slow, (0.80, 0.84, 0.86), 10.0), one_of_each(fast, (0.79, 0.84, 0.86), 47.0)
    )
    assert (verdict.headline, verdict.take) == ("Take either family", "lstm")
    assert "gru by training speed (47 sequences/s)" in verdict.details
    assert "gru by MACs" in verdict.details
    assert "gru by state (32 bytes)" in verdict.details
    (alternative,) = verdict.not_told_apart
    assert alternative.why is not None
    assert alternative.why.startswith("trains 4.7 times as fast, 6.0 times less state, ")


def test_a_busy_machine_gives_no_reason_and_a_warning():
    slow, fast = searched("lstm"), searched("gru")
    verdict = one_verdict(
        one_of_each(slow, (0.80, 0.84, 0.86), 10.0),
        [fast.study(), *fast.finals(0.79, 0.84, 0.86), fast.speed(47.0, machine="busy")],
    )
    assert "speed (" not in verdict.details
    assert "trains" not in json.dumps(verdict.json)
    assert any("busy machine" in x for x in verdict.warnings)


FEW_TRIALS = (
    "Only 5 trials a search: another search may find other nets; more --trials, or --searches 3, "
    "tells."
)


@pytest.mark.parametrize(("trials", "warned"), [(1, False), (5, True), (15, True), (16, False)])
def test_a_search_of_few_trials_is_a_warning_unless_it_has_a_single_net(trials, warned):
    one = searched()
    study = one.study()
    study["trials"] = study["trials"] | {"complete": trials - 1, "pruned": 1}
    verdict = one_verdict([study, *one.finals(0.8, 0.81, 0.82)])
    said = [x for x in verdict.warnings if x.startswith(f"Only {trials} trials a search")]
    assert len(said) == warned


def test_one_seed_has_no_interval_and_tells_nothing_apart():
    verdict = one_verdict([searched().study(), *searched().finals(0.9)],
                          [searched("gru").study(), *searched("gru").finals(0.5)])  # fmt: skip
    assert (verdict.low, verdict.high) == (None, None)
    assert "±" not in verdict.details
    assert any(x.startswith("One seed only") for x in verdict.warnings)


def test_nothing_better_than_guessing_is_not_recommended():
    """Cross-entropy of copy memory: guessing costs ln 8, lower is better."""
    bad = searched("lstm", task="copy_memory:T=5")
    rows = [bad.study(), *bad.finals(2.08, 2.081, 2.079)]
    verdict = one_verdict(rows)
    assert verdict.take is None
    assert verdict.headline == "Take none yet"
    assert "no family is told apart from guessing (2.0794 nats)" in verdict.details
    assert any("--steps 200" in command for command in verdict.next)
    good = searched("gru", task="copy_memory:T=5")
    better = one_verdict(rows, [good.study(), *good.finals(0.01, 0.011, 0.012)])
    assert (better.take, [x.family for x in better.behind]) == ("gru", ["lstm"])
    assert better.behind[0].difference > 2


def test_searches_without_finals_say_how_to_train_them():
    verdict = one_verdict([searched().study()], [searched("gru", value=0.7).study()])
    assert verdict.take is None
    assert "no finals are trained yet" in verdict.details
    assert "that of gru (1 layer of 8): 70.0 %" in verdict.details
    run, _ = verdict.next
    assert run.startswith("bench run --task pixel_digits --family gru --family lstm ")


def test_finals_that_all_diverged_recommend_nothing():
    verdict = one_verdict([searched().study(), *searched().finals(None, None)])
    assert (verdict.take, verdict.reason) == (None, "Every final diverged.")
    assert "lstm 2 of 2" in verdict.details


def test_a_family_with_a_failed_final_is_named_and_its_run_is_not_claimed():
    one, other = searched(), searched("gru")
    verdict = one_verdict(
        [one.study(), *one.finals(*GOOD)],
        [other.study(), *other.finals(*FAIR), other.final(9, None, state="failed", reason="x")],
    )
    assert verdict.take == "lstm"
    assert "Without a rank: gru (a final failed)." in verdict.details


def test_more_parameters_stop_paying_where_no_larger_budget_is_told_apart():
    tests = {1000: POOR, 2000: GOOD, 4000: (0.949, 0.952, 0.951)}
    rows = [row for budget, values in tests.items() for row in (
        searched(budget=budget).study(), *searched(budget=budget).finals(*values)
    )]  # fmt: skip
    said = [verdict.budgets for verdict in verdicts(rank_rows(rows))]
    assert said[:2] == [None, None]
    assert "1,000: lstm 60.1 ± 0.2 %, 2,000: lstm 95.1 ± 0.2 %, 4,000: " in said[2]
    assert "More parameters stop paying at 2,000" in said[2]
    longer = [row for row in rows if row["budget"] < 4000]
    assert "pay up to the largest" in verdicts(rank_rows(longer))[1].budgets


def test_searches_that_disagree_do_not_tell_whether_more_parameters_pay():
    """Their finals do not count one by one: seeds of one search tell nothing of another."""

    def said(small: tuple[float, ...]) -> str | None:
        rows = []
        for budget, means in ((1000, small), (2000, (0.90, 0.91, 0.92))):
            for seed, mean in enumerate(means):
                one = searched(budget=budget)
                one = dataclasses.replace(one, spec=dataclasses.replace(one.spec, seed=seed))
                rows += [one.study(), *one.finals(mean - 0.001, mean, mean + 0.001)]
        return verdicts(rank_rows(rows))[-1].budgets

    assert "More parameters pay up to the largest" in (said((0.80, 0.81, 0.82)) or "")
    assert "More parameters stop paying at 1,000" in (said((0.70, 0.84, 0.89)) or "")


def test_a_difference_below_the_margin_is_no_reason_for_more_parameters():
    rows = []
    for budget, mean in ((1000, 0.9), (2000, 0.9015)):
        one = searched(budget=budget)
        rows += [one.study(margin=0.002), *one.finals(mean, mean + 1e-6, mean + 2e-6)]
    assert "stop paying at 1,000" in (verdicts(rank_rows(rows))[-1].budgets or "")


def test_a_family_that_stands_twice_is_named_by_its_row():
    one = searched()
    twin = dataclasses.replace(one, spec=dataclasses.replace(one.spec, sampler="qmc"))
    verdict = one_verdict([one.study(), *one.finals(*GOOD)], [twin.study(), *twin.finals(*POOR)])
    assert verdict.take == "lstm of row 1"
    assert [x.family for x in verdict.behind] == ["lstm of row 2"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"base": 3, "cell": "rnn", "depth": 2, "fusion": True, "init": "orthogonal", "start": 2,
          "width": 28}, "vanilla cells, base 3, start 2, 2 layers of 28, fused"),
        ({"depth": 1, "init": "chrono", "width": [9]}, "chrono initialisation, 1 layer of 9"),
        ({"depth": 3, "dropout": 0.0, "kernel": 7, "width": [8, 7, 7]},
         "kernel 7, 3 layers of 7 to 8"),
        ({"base": 3, "modules": 2, "width": 73}, "base 3, 2 modules, width 73"),
        ({"cell": "mine", "long_memory": True, "taps": [1, 4], "width": 5},
         "mine cells, taps 1x4, width 5, long memory"),
    ],
)  # fmt: skip
def test_a_net_in_peoples_words(config, words):
    assert net_words(config) == words


def test_the_family_to_take_is_exported_where_its_weights_are(tmp_path):
    rows, order = three()
    (tmp_path / "weights").mkdir()
    (verdict,) = verdicts(rank_rows(flat(rows)), str(tmp_path))
    where = f"--task pixel_digits --budget 1000 --steps 100 --runs-dir {tmp_path}"
    assert verdict.next == (
        f"bench export {where} --output {order[0]}-1000",
        f"bench report --task pixel_digits --runs-dir {tmp_path}",
    )
