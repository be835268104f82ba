"""Publishing boards, and checking that they are what their records give."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re

import pytest

from drnn_bench.board import publish, renderings
from drnn_bench.board.frame import leaderboard
from drnn_bench.errors import UserError
from drnn_bench.results import records
from drnn_bench.results.board_line import as_records
from drnn_bench.results.ranking import rank_rows
from tests.support.command import ROOT
from tests.support.folders import content
from tests.support.markdown import table
from tests.support.searched import (
    GOOD,
    POOR,
    different_studies,
    flat,
    searched,
    three,
)


def test_publishing_writes_the_records_of_the_task_and_both_boards(tmp_path):
    rows = flat(different_studies())
    path = publish.publish(rows, "pixel_digits", tmp_path)
    assert path == tmp_path / "pixel_digits.md"
    assert content(tmp_path).keys() == {
        "pixel_digits.md", "pixel_digits.csv", "records/pixel_digits.jsonl",
    }  # fmt: skip
    mine = [row for row in rows if row["task"] == "pixel_digits"]
    assert records.read(tmp_path / "records" / "pixel_digits.jsonl") == (mine, [])
    assert path.with_suffix(".csv").read_text() == renderings.to_csv(rank_rows(mine))
    assert renderings.to_markdown(rank_rows(mine)) in path.read_text()
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
    before = as_records(rank_rows(records.read_folder(tmp_path)[0]))
    part = dataclasses.replace(whole, complete=8, best=searched(width=11).best)
    publish.publish(
        [part.study(), *part.finals(0.1), *whole.finals(*POOR)], "pixel_digits", tmp_path
    )
    [line] = as_records(rank_rows(records.read_folder(tmp_path)[0]))
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


def test_the_last_digits_of_another_machine_are_no_difference(tmp_path):
    """Its mathematical library may round otherwise. A digit that somebody reads is one."""
    publish.publish(flat(three()[0]), "pixel_digits", tmp_path)
    board = tmp_path / "pixel_digits.csv"
    text = board.read_text()
    low = next(csv.DictReader(io.StringIO(text)))["test_low"]
    for change, differs in ((1e-15, False), (1e-6, True)):
        other = str(float(low) * (1 + change))
        assert other != low
        board.write_text(text.replace(low, other))
        assert bool(publish.check(tmp_path)) == differs


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
    assert len(rows) == 14  # the families of README's board
    assert all(row in published for row in rows)
