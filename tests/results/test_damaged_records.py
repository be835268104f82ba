"""Records that are damaged in any way: a command answers with what can be shown, or in one line."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench.cli import app
from drnn_bench.results import records, schema
from drnn_bench.results.records import SHOWN, read, read_folder
from tests.support.command import ROOT
from tests.support.rows import real_rows
from tests.support.searched import searched

PUBLISHED = ROOT / "leaderboards" / "records" / "pixel_digits.jsonl"
FAMILIES = ("dilated_rnn", "lstm", "dilated_cnn")
REAL = [
    row
    for row in map(json.loads, PUBLISHED.read_text().splitlines())
    if row["family"] in FAMILIES and row["budget"] == 2_000
]
Row = dict[str, Any]


def written(folder: Path, lines: list[bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def as_line(row: Any) -> bytes:
    return json.dumps(row, sort_keys=True).encode()


def note_on(tmp_path: Path, row: Any) -> str:
    """What is said of a row that is damaged; that it is left out is seen to."""
    found, notes = read_folder(written(tmp_path, [as_line(row)]))
    assert found == []
    [note] = notes
    assert "\n" not in note
    return note


@pytest.mark.parametrize("path", sorted((ROOT / "leaderboards" / "records").glob("*.jsonl")))
def test_every_published_row_is_whole(path):
    found, notes = read(path)
    assert notes == []
    assert len(found) == len(path.read_text().splitlines())


@pytest.mark.parametrize("role", ["study", "final", "speed"])
def test_rows_as_the_harness_writes_them_are_whole(role):
    assert schema.fault(real_rows()[role]) is None


def test_a_final_that_diverged_is_whole():
    assert schema.fault(searched().final(0, None)) is None


@pytest.mark.parametrize("role", ["study", "final", "speed"])
def test_a_row_without_one_of_its_keys_is_left_out_and_the_key_named(role, tmp_path):
    whole = real_rows()[role]
    for key in {*schema.EVERY, *schema.ROLES[role, "complete"]}:
        if key.endswith("?") or key == "id":
            continue
        note = note_on(tmp_path, {k: v for k, v in whole.items() if k != key})
        assert note == f"records.jsonl:1: {role}: lacks {key}, left out"


WRONG = {
    "budget": ("5k", 0, -1, None, True, 1.5, 2**60),
    "steps": (0, "100", [100]),
    "config": (None, [], {"depth": {"high": 3}}, {"depth": 10**9}, {"dilations": [1, "2"]}),
    "recipe": (None, {"optimizer": "sgd"}, {"clip": 1}, {"batch_size": 0}),
    "learning_rate": (0, -1, None, "inf", 1e-320),
    "direction": ("up", None),
    "started": (None, "yesterday", 20260131),
    "family": ("../../lstm", "", None, "lstm\n"),
    "architecture": (None, "\ud800", "a\0b"),
    "mrl": ("∞", True, 1e300),
    "test": (None, "0.9", True, 1.5, -0.1),
    "test_size": (0, None),
    "curve": ([[1]], [1, 2], [["a", 1]], 3),
}


@pytest.mark.parametrize("key", WRONG)
def test_a_value_of_another_kind_is_left_out_and_named(key, tmp_path):
    whole = real_rows()["final"]
    for value in WRONG[key]:
        note = note_on(tmp_path, whole | {key: value})
        assert note.startswith("records.jsonl:1: ")
        assert note.endswith(", left out")
        assert key in note or "no number that can be measured" in note or "no text" in note


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 30])
def test_a_number_that_is_none_is_left_out(number, tmp_path):
    line = as_line(real_rows()["final"] | {"test_cross_entropy": "HERE"})
    written(tmp_path, [line.replace(b'"HERE"', number.encode())])
    found, [note] = read_folder(tmp_path)
    assert (found, "is no number that can be measured" in note) == ([], True)


@pytest.mark.parametrize(
    "line", [b"9" * 5_000, b"[" * 100_000, b'{"id": ' + b"9" * 5_000 + b"}", b"\x00\xff\x1b[2J"]
)
def test_a_line_of_junk_is_left_out(line, tmp_path):
    whole = real_rows()["final"]
    assert read_folder(written(tmp_path, [line, as_line(whole)])) == (
        [whole],
        ["records.jsonl:1: not a whole row, left out"],
    )


def test_a_letter_that_is_no_utf8_is_not_read_as_another(tmp_path):
    line = as_line(real_rows()["final"]).replace(b"complete", b"compl\xe4te")
    assert read_folder(written(tmp_path, [line])) == (
        [],
        ["records.jsonl:1: not a whole row, left out"],
    )


def test_a_role_of_another_version_is_named(tmp_path):
    note = note_on(tmp_path, real_rows()["final"] | {"role": "replay"})
    assert note == 'records.jsonl:1: its role is "replay", which is unknown here, left out'


def test_junk_throughout_is_counted(tmp_path):
    whole = real_rows()["final"]
    found, notes = read_folder(written(tmp_path, [b"junk"] * 1_000 + [as_line(whole)]))
    assert found == [whole]
    assert len(notes) == SHOWN + 1
    assert notes[-1] == "records.jsonl: 995 more lines are left out"


def test_an_empty_file_is_said(tmp_path):
    (tmp_path / "records.jsonl").touch()
    assert read_folder(tmp_path) == ([], ["records.jsonl: is empty"])


def test_a_file_that_cannot_be_read_is_said_and_the_others_are_shown(tmp_path):
    (tmp_path / "records.jsonl").mkdir()
    whole = real_rows()["final"]
    records.append(tmp_path / "records" / "a.jsonl", [whole])
    found, [note] = read_folder(tmp_path)
    assert found == [whole]
    assert note == "records.jsonl: cannot be read (Is a directory)"


def test_an_id_that_stands_for_two_rows_is_said_across_files_too(tmp_path):
    whole = real_rows()["final"]
    records.append(tmp_path / "records" / "a.jsonl", [whole])
    records.append(tmp_path / "records" / "b.jsonl", [whole | {"test": 0.123}])
    found, [note] = read_folder(tmp_path)
    assert found == [whole]
    assert note.startswith(f"b.jsonl:1: its id {whole['id']} is also that of a.jsonl:1")


@pytest.mark.parametrize(
    ("key", "value"),
    [("budget", 77), ("task", "pixel_mnist"), ("metric", "cross_entropy"), ("direction", "min")],
)
def test_a_row_that_contradicts_the_others_of_its_search_is_left_out(key, value, tmp_path):
    one = searched()
    good = [one.study(), *one.finals(0.9, 0.91, 0.92)]
    bad = one.final(7, 0.5) | {key: value}
    path = written(tmp_path, [as_line(row) for row in [*good, bad]])
    found, notes = read_folder(path)
    if key == "task":  # the first rule is about a search, so one note
        assert notes[0].startswith('records.jsonl:5: final: task is "pixel_mnist", most rows of')
    assert len(notes) == 1
    assert found == good


# -- every command, over anything --------------------------------------------------------------

JUNK = st.sampled_from(
    [None, True, False, 0, -1, 1, 2**70, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "inf",
     "lstm", "../x", "a\0b", "\ud800", "<b>", "\x1b[31m", [], [1], [[1, 2]], {}, {"a": 1},
     {"depth": 10**6}, [{}], "x" * 300, "2026-01-31T12:00:00Z"]
)  # fmt: skip


class Lines(list):
    """Lines of a file, shown by what was done to them."""

    done: list[Any]

    def __repr__(self) -> str:
        return f"lines after {self.done}"


@st.composite
def damaged(draw: st.DrawFn) -> Lines:
    """Lines of real rows, a few places of which are changed."""
    found, done = copy.deepcopy(REAL), []
    for _ in range(draw(st.integers(1, 4))):
        row = draw(st.sampled_from(found))
        place: Any = row
        while True:  # down into the row
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(list(keys)))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                break
            place = inner
        act = draw(st.sampled_from(["junk", "junk", "junk", "remove", "swap"]))
        if act == "junk":
            place[key] = copy.deepcopy(draw(JUNK))
        elif act == "remove":
            del place[key]
        elif isinstance(place, dict):  # as it stands in another row
            place[key] = copy.deepcopy(draw(st.sampled_from(found)).get(key, 0))
        now = "" if act == "remove" else repr(place[key])[:80]
        done.append((row.get("role"), key, act, now))
    lines = [as_line(row) for row in found]
    for _ in range(draw(st.integers(0, 2))):
        i = draw(st.integers(0, len(lines) - 1))
        cut = draw(st.integers(0, len(lines[i])))
        lines[i] = draw(st.sampled_from([lines[i][:cut], lines[i][cut:], b"\xff" + lines[i], b""]))
    whole = Lines(draw(st.permutations(lines)) if draw(st.booleans()) else lines)
    whole.done = done
    return whole


COMMANDS = (
    ("leaderboard", "--format", "table"),
    ("leaderboard", "--format", "markdown"),
    ("leaderboard", "--format", "csv", "--sort", "test_mean"),
    ("leaderboard", "--format", "json"),
    ("compare", "--format", "markdown"),
    ("compare", "--format", "json"),
    ("report", "--output", "{folder}/report.html"),
    ("export", "--output", "{folder}/net", "--steps", "800"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@settings(max_examples=25)
@given(lines=damaged())
def test_a_command_shows_what_it_can_or_says_one_line(command, lines, tmp_path, capfd):
    runs = written(tmp_path / "runs", lines)
    words = [word.format(folder=tmp_path) for word in command]
    before = sys.argv
    sys.argv = ["bench", *words, "--runs-dir", str(runs)]
    try:
        with pytest.raises(SystemExit) as ended:  # any other exception fails the test
            app.main()
    finally:
        sys.argv = before
    out, err = capfd.readouterr()
    assert ended.value.code in (0, None, 2)
    assert all(line.startswith("bench: ") for line in err.splitlines()), err
    assert out or err
    if ended.value.code == 2:
        assert out == "" or command[0] == "export"
