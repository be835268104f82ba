"""`bench leaderboard` and `bench compare` as they are typed: tables, verdicts, JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from drnn_bench.board.verdict import verdicts
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows
from tests.support.searched import FAIR, GOOD, POOR, flat, one_of_each, searched, three


@pytest.fixture
def runs(tmp_path):
    """A runs folder of three families at one budget, and two at another."""
    larger = [searched("lstm", budget=2000), searched("gru", budget=2000)]
    rows = flat(three()[0]) + flat([one_of_each(one, FAIR, 5.0) for one in larger])
    records.append(tmp_path / "runs" / "records.jsonl", rows)
    return rank_rows(rows)


def test_the_verdict_is_the_headline_the_details_and_commands(typed, runs):
    small, large = verdicts(runs, "runs")
    out = typed("leaderboard", "--verdict").stdout
    assert [line for line in out.splitlines() if line.startswith("pixel_digits")] == [
        "pixel_digits, at most 1,000 parameters, 100 steps",
        "pixel_digits, at most 2,000 parameters, 100 steps",
    ]
    words = " ".join(out.split())
    for verdict in (small, large):
        assert " ".join((verdict.headline + verdict.details).split()) in words
        assert all(f"\n  {command}\n" in out for command in verdict.next)
    assert "Take dilated_rnn (" in out
    assert "rank" not in out.partition("\n")[2]  # no table
    alone = typed("leaderboard", "--verdict", "--budget", "2k").stdout
    assert "1,000 parameters" not in alone


def test_the_verdict_is_data_on_request(typed, runs, tmp_path):
    out = typed("leaderboard", "--verdict", "--json").stdout
    told = json.loads(out)
    assert told == json.loads(json.dumps([asdict(verdict) for verdict in verdicts(runs, "runs")]))
    assert (told[0]["take"], told[0]["behind"][0]["family"]) == ("dilated_rnn", "lstm")
    typed("leaderboard", "--verdict", "--json", "--output", "verdicts.json")
    assert json.loads((tmp_path / "verdicts.json").read_text()) == told
    markdown = typed("leaderboard", "--verdict", "--format", "markdown").stdout
    assert "**Take dilated_rnn**" in markdown


def test_nothing_to_recommend_is_said_and_exits_with_0(typed, tmp_path):
    bad = searched()
    records.append(tmp_path / "runs" / "records.jsonl", [bad.study(), *bad.finals(0.1, 0.1, 0.1)])
    assert "Take none yet: no family is told apart" in typed("leaderboard", "--verdict").stdout
    [told] = json.loads(typed("leaderboard", "--verdict", "--json").stdout)
    assert told["take"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--family", "lstm"), "--verdict is over whole boards: leave out --family"),
        (("--sort", "n"), "--verdict is over whole boards: leave out --sort"),
        (("--format", "csv"), "--verdict has no CSV: --format table, markdown or json"),
        (("--budget", "3k"), "no results for budget 3000 in runs"),
    ],
)
def test_what_a_verdict_cannot_be_of_is_one_line(typed, runs, words, said):
    done = typed("leaderboard", "--verdict", *words, code=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_table_explains_itself_on_request(typed, runs):
    short, whole = typed("leaderboard").stdout, typed("leaderboard", "--explain").stdout
    assert "bench leaderboard --explain says how" in short
    assert "--explain" not in whole
    assert ("Holm" in short, "Holm" in whole) == (False, True)
    for out in (short, whole):  # the verdict stands last, and below it what to type
        assert out.rindex("Take ") > out.rindex("fresh seeds")
        assert out.rstrip().endswith("bench report --task pixel_digits")


def test_json_is_the_same_by_either_option(typed, runs):
    for command in ("leaderboard", "compare"):
        out = typed(command, "--json").stdout
        assert json.loads(out) == json.loads(typed(command, "--format", "json").stdout)
        assert len(json.loads(out)) > 1


def test_one_family_of_a_board_keeps_the_verdict_of_all(typed, tmp_path):
    one, other = searched(), searched("gru")
    rows = [*one_of_each(one, GOOD, 1.0), *one_of_each(other, POOR, 1.0)]
    records.append(tmp_path / "runs" / "records.jsonl", rows)
    out = typed("leaderboard", "--family", "gru").stdout
    assert "Take lstm" in out
