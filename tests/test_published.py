"""Published boards stay what they are when somebody tries a checkout out."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from test_leaderboard import GOOD, HERE, content, searched

from drnn_bench.board import publish
from drnn_bench.results.ranking import build
from drnn_bench.results.records import read_folder

TINY = ("run", "--trials", "1", "--steps", "4", "--seeds", "1", "--workers", "1",
        "--family", "dilated_cnn", "--budget", "5k")  # fmt: skip


def shown(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "pixel_digits.csv").open() as file:
        return {line["study"]: line for line in csv.DictReader(file)}


@pytest.mark.slow
def test_a_run_leaves_the_boards_of_others_as_they_are_unless_asked(bench, tmp_path):
    folder = tmp_path / "leaderboards"
    shutil.copytree(ROOT / "leaderboards", folder)
    before, lines = content(folder), shown(folder)
    out = bench(*TINY).stdout
    assert content(folder) == before
    assert "leaderboards/ is left as it is: " in out
    assert "--publish adds its rows there" in out
    assert "dilated_cnn" in out

    out = bench(*TINY, "--publish").stdout
    assert "Written to leaderboards/pixel_digits.md" in out
    after = content(folder)
    name = "records/pixel_digits.jsonl"
    assert after[name].startswith(before[name])
    added, _ = read_folder(tmp_path / "runs")
    assert len(after[name].splitlines()) == len(before[name].splitlines()) + len(added)
    assert {k for k in after if after[k] != before[k]} == {
        name, "pixel_digits.csv", "pixel_digits.md",
    }  # fmt: skip
    now = shown(folder)
    assert len(now) == len(lines) + 1
    for study, line in lines.items():  # every published figure stands, but for who is beside it
        beside = {"apart", "rank_low", "rank_high", "search"}
        assert {k for k in line if now[study][k] != line[k]} <= beside
    assert publish.check(folder) == []


@pytest.mark.slow
def test_a_run_publishes_its_own_board_and_adds_to_it(bench, tmp_path):
    assert "Written to leaderboards/pixel_digits.md" in bench(*TINY).stdout
    more = ("--family", "lstm")
    assert "Written to leaderboards/pixel_digits.md" in bench(*TINY, *more).stdout
    assert {line["family"] for line in shown(tmp_path / "leaderboards").values()} == {
        "dilated_cnn", "lstm",
    }  # fmt: skip


def test_rows_of_others_are_counted_by_task(tmp_path):
    one, other = searched(), searched(task="copy_memory:T=500")
    mine = [one.study(), *one.finals(*GOOD)]
    assert publish.of_others(mine, "pixel_digits", tmp_path) == 0
    publish.publish(mine, "pixel_digits", tmp_path)
    publish.publish([other.study()], "copy_memory:T=500", tmp_path)
    assert publish.of_others(mine, "pixel_digits", tmp_path) == 0
    assert publish.of_others(mine[:2], "pixel_digits", tmp_path) == 2
    assert publish.of_others(mine, "copy_memory:T=500", tmp_path) == 1


# -- which speed is shown ----------------------------------------------------------------------

ELSEWHERE = {"processor": "Processor B, 2 cores"}


def line_of(rows, study: str):
    return next(x for x in build(rows).to_dict("records") if x["study"] == study)


def test_a_busier_machine_replaces_no_speed_and_an_idler_one_does():
    one = searched()
    rows = [one.study(), one.speed(100.0), one.speed(7.0, session="s2", machine="busy")]
    line = line_of(rows, one.spec.digest)
    assert (line["train_per_s"], line["machine"]) == (100.0, "idle")
    line = line_of(rows[:1] + rows[2:] + rows[1:2], one.spec.digest)
    assert (line["train_per_s"], line["machine"]) == (100.0, "idle")
    rows.append(one.speed(120.0, session="s3"))
    assert line_of(rows, one.spec.digest)["train_per_s"] == 120.0


def test_other_hardware_replaces_no_speed_of_a_group():
    one, two = searched("lstm"), searched("rnn")
    rows = [one.study(), two.study(), one.speed(100.0), two.speed(50.0)]
    rows.append(one.speed(400.0, session="s2", **ELSEWHERE))
    line = line_of(rows, one.spec.digest)
    assert (line["train_per_s"], line["left_out"]) == (100.0, [])
    assert line_of(rows, two.spec.digest)["speed_ratio"] == 0.5


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["idle", "busy"]),
            st.sampled_from([{}, ELSEWHERE]),
            st.floats(1, 1e6),
            st.integers(0, 1),
        ),
        max_size=8,
    )
)
def test_what_is_added_never_worsens_a_published_speed(later):
    nets = searched("lstm"), searched("rnn")
    rows = [net.study() for net in nets] + [net.speed(100.0) for net in nets]
    for machine, where, per_s, i in later:
        rows.append(nets[i].speed(per_s, session="s2", machine=machine, **where))
    for net in nets:
        line = line_of(rows, net.spec.digest)
        assert line["machine"] == "idle"
        assert HERE["processor"] in line["hardware"]
