"""Published boards stay what they are when somebody tries a checkout out."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from drnn_bench.board import publish
from drnn_bench.results.records import read_folder
from tests.support.command import ROOT, checked, in_this_process
from tests.support.folders import content
from tests.support.searched import GOOD, searched

TINY = ("run", "--trials", "1", "--steps", "4", "--seeds", "1", "--workers", "1",
        "--family", "dilated_cnn", "--budget", "5k")  # fmt: skip


def shown(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "pixel_digits.csv").open() as file:
        return {line["study"]: line for line in csv.DictReader(file)}


@pytest.fixture(scope="module")
def tried(tmp_path_factory) -> Path:
    """A folder in which a small run was made, and what it said."""
    folder = tmp_path_factory.mktemp("tried")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drnn_bench.jobs.after_search.speeds_owed", lambda *of: [])
        done = checked(in_this_process(*TINY, cwd=folder), 0)
    (folder / "said").write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_a_run_leaves_the_boards_of_others_as_they_are_unless_asked(
    tried, typed, untimed, tmp_path
):
    shutil.copytree(tried / "runs", tmp_path / "runs")
    folder = tmp_path / "leaderboards"
    shutil.copytree(ROOT / "leaderboards", folder)
    before, lines = content(folder), shown(folder)
    out = typed(*TINY).stdout
    assert content(folder) == before
    assert "leaderboards/ is left as it is: " in out
    assert "--publish adds its rows there" in out
    assert "dilated_cnn" in out

    out = typed(*TINY, "--publish").stdout
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
        assert {k for k in line if not publish.agree(now[study][k], line[k])} <= beside
    assert publish.check(folder) == []


@pytest.mark.slow
def test_a_run_publishes_its_own_board_and_adds_to_it(tried, typed, untimed, tmp_path):
    assert "Written to leaderboards/pixel_digits.md" in (tried / "said").read_text()
    assert {line["family"] for line in shown(tried / "leaderboards").values()} == {"dilated_cnn"}
    for name in ("runs", "leaderboards"):
        shutil.copytree(tried / name, tmp_path / name)
    more = ("--family", "lstm")
    assert "Written to leaderboards/pixel_digits.md" in typed(*TINY, *more).stdout
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
