"""Result rows: what one must have, and that none is lost, torn or counted twice."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drnn_bench.results import records
from tests.support.command import ROOT
from tests.support.rows import IDENTITY, real_rows, row

# -- one row -----------------------------------------------------------------------------------


def test_a_row_has_an_id_of_its_own_the_schema_and_its_role():
    one, other = row(test=0.5), row(test=0.5)
    assert one["id"] != other["id"]
    assert (one["schema"], one["role"], one["test"]) == (records.SCHEMA, "final", 0.5)
    assert one.items() >= IDENTITY.items()


@pytest.mark.parametrize("key", IDENTITY)
def test_a_row_without_a_part_of_its_identity_is_refused(key):
    with pytest.raises(KeyError, match=f"final.*{key}"):
        records.make_row("final", {k: v for k, v in IDENTITY.items() if k != key})


# What a ranking and a reader need of every role, besides the identity.
BESIDES = (
    {"metric", "direction", "sampler", "pruner", "search_seed", "architecture", "started"}
    | {"mrl", "mrl_horizon", "reach", "recurrent_edges_per_node", "sequential_steps"}
    | {"macs_per_step", "state_bytes", "weight_bytes"}
    | {"harness_version", "git_commit", "git_dirty", "python", "torch", "optuna", "cuda"}
    | {"processor", "device", "threads", "dtype"}
)


@pytest.mark.parametrize("role", ["study", "final", "speed"])
def test_the_harness_writes_rows_that_say_all_by_themselves(role):
    written = real_rows()[role]
    assert set(records.IDENTITY) <= written.keys()
    assert written.keys() >= BESIDES
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", written["started"])


@pytest.mark.parametrize("role", ["study", "final", "speed"])
def test_a_row_names_no_host_no_user_and_no_path(role):
    assert betrayed(real_rows()[role]) == []


def test_a_host_a_user_or_a_path_in_a_row_would_be_noticed():
    for said in (socket.gethostname(), f"{getpass.getuser()} was here", str(ROOT), "in /var/x"):
        assert betrayed({"spec": [{"deep": said}]}) == [said]
    assert betrayed({"space": {"data_dir": "x"}}) == ["data_dir"]


def betrayed(value: Any) -> list[str]:
    """What in a row says where it was made."""
    where = {socket.gethostname(), socket.getfqdn(), getpass.getuser()}
    names = {"host", "hostname", "node", "user", "username", "path", "folder", "cwd", "data_dir"}
    patterns = [
        r"(?<![\w.])[/~][\w.-]+",
        r"\b[A-Za-z]:\\",
        *(rf"\b{re.escape(w)}\b" for w in where),
    ]
    return [
        text
        for kind, text in texts(value)
        if (kind == "key" and text in names)
        or (kind == "value" and any(re.search(pattern, text) for pattern in patterns))
    ]


def texts(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield "key", key
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield "value", value


# -- append and read ---------------------------------------------------------------------------


def test_what_is_appended_is_read_back_in_order(tmp_path):
    path = tmp_path / "deep" / "er" / "records.jsonl"
    first = [row(test=0.1, note="é → 🙂"), row(test=0.2, tests=[1, 2.5], nested={"a": [None]})]
    # Everything that some reader takes for the end of a line.
    second = [row(note="a\nb\r\nc\x0b\x0c\x1c\x85\u2028\u2029d")]
    records.append(path, first)
    records.append(path, second)
    assert records.read(path) == (first + second, [])
    assert path.read_bytes().count(b"\n") == 3


def test_a_file_that_is_not_there_holds_nothing(tmp_path):
    assert records.read(tmp_path / "records.jsonl") == ([], [])


def test_nothing_appended_changes_nothing(tmp_path):
    path = tmp_path / "records.jsonl"
    records.append(path, [row()])
    before = path.read_bytes()
    records.append(path, [])
    assert path.read_bytes() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path, value):
    path = tmp_path / "records.jsonl"
    records.append(path, [row()])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        records.append(path, [row(test=0.5), row(deep={"test": [value]})])
    assert path.read_bytes() == before


def test_a_row_that_stands_twice_counts_once_and_the_first_stays(tmp_path):
    path = tmp_path / "records.jsonl"
    one, other = row(test=0.1), row(test=0.2)
    records.append(path, [one, other])
    records.append(path, [one])
    assert records.read(path) == ([one, other], [])
    records.append(path, [one | {"test": 0.9}])
    note = f"records.jsonl:4: its id {one['id']} is also that of records.jsonl:1, which says "
    assert records.read(path) == ([one, other], [f"{note}something else: left out"])


def test_a_row_of_a_newer_schema_is_left_out_with_a_note(tmp_path):
    path = tmp_path / "records.jsonl"
    old = row()
    records.append(path, [old, row() | {"schema": records.SCHEMA + 1}])
    rows, notes = records.read(path)
    assert rows == [old]
    assert notes == [
        f"records.jsonl:2: schema {records.SCHEMA + 1}, this is {records.SCHEMA}, left out"
    ]


def test_empty_lines_are_nothing_to_speak_of(tmp_path):
    path = tmp_path / "records.jsonl"
    one = row()
    records.append(path, [one])
    path.write_text(f"\n\n{path.read_text()}  \n\n")
    assert records.read(path) == ([one], [])


@pytest.mark.parametrize(
    "line", [b"[1, 2]", b"3", b'"schema"', b"{}", b"not json", b"\xff\xfe\x00", b'{"schema": 1']
)
def test_a_line_that_is_no_row_is_left_out_with_a_note(tmp_path, line):
    path = tmp_path / "records.jsonl"
    one = row()
    records.append(path, [one])
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert records.read(path) == ([one], ["records.jsonl:1: not a whole row, left out"])


@pytest.mark.parametrize("key", ["id", "schema", "role"])
def test_a_line_without_what_tells_rows_apart_is_left_out_with_a_note(tmp_path, key):
    path = tmp_path / "records.jsonl"
    records.append(path, [{k: v for k, v in row().items() if k != key}])
    assert records.read(path) == ([], ["records.jsonl:1: not a whole row, left out"])


# -- writers that die, and writers at once -----------------------------------------------------


@pytest.mark.parametrize("missing", [2, 30, 200])
def test_a_torn_last_line_is_skipped_and_the_next_row_starts_on_a_fresh_line(tmp_path, missing):
    path = tmp_path / "records.jsonl"
    whole, torn, after = row(test=0.1), row(test=0.2), row(test=0.3)
    records.append(path, [whole, torn])
    path.write_bytes(path.read_bytes()[:-missing])
    note = "records.jsonl:2: not a whole row, left out"
    assert records.read(path) == ([whole], [note])
    records.append(path, [after])
    assert records.read(path) == ([whole, after], [note])


def test_a_last_row_that_lacks_only_its_line_end_is_whole(tmp_path):
    path = tmp_path / "records.jsonl"
    one, after = row(test=0.1), row(test=0.2)
    records.append(path, [one])
    path.write_bytes(path.read_bytes()[:-1])
    assert records.read(path) == ([one], [])
    records.append(path, [after])
    assert records.read(path) == ([one, after], [])


# Waits for the others, then appends; its rows are short and long, one or three at a time.
WRITER = """
import json, sys, time
from pathlib import Path
from drnn_bench.results import records
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
row = json.loads(sys.argv[4])
Path(f"{path}.{name}.ready").touch()
while not Path(f"{path}.go").exists():
    time.sleep(0.001)
for i in range(count):
    size = 1 + 7919 * i % 30_000
    rows = [
        row | {"id": f"{name}-{i}-{j}", "text": name * size}
        for j in range(1 + 2 * (i % 2))
    ]
    records.append(path, rows)
"""


@pytest.fixture
def writers(tmp_path):
    """Starts writers by name, lets them all begin at once, and leaves none behind."""
    running: list[subprocess.Popen] = []

    def start(path: Path, names: str, count: int) -> list[subprocess.Popen]:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        for name in names:
            told = [str(path), name, str(count), json.dumps(row())]
            words = [sys.executable, "-c", WRITER, *told]
            running.append(subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True))
        wait(lambda: all(Path(f"{path}.{name}.ready").exists() for name in names))
        Path(f"{path}.go").touch()
        return running

    yield start
    for writer in running:
        writer.kill()
        writer.wait()
        writer.stderr.close()


def wait(until) -> None:
    for _ in range(30_000):
        if until():
            return
        time.sleep(0.01)
    pytest.fail("a writer did not come as far as it should within five minutes")


def test_processes_that_append_at_once_lose_nothing_and_tear_nothing(tmp_path, writers):
    path, names, count = tmp_path / "records.jsonl", "abcd", 30
    for writer in writers(path, names, count):
        assert writer.communicate()[1] == ""
        assert writer.returncode == 0
    rows, notes = records.read(path)
    assert notes == []
    expected = {f"{n}-{i}-{j}" for n in names for i in range(count) for j in range(1 + 2 * (i % 2))}
    assert {r["id"] for r in rows} == expected
    assert path.read_bytes().count(b"\n") == len(expected)
    for r in rows:
        assert set(r["text"]) == {r["id"][0]}
    # Rows that were appended together stand together.
    order = [r["id"].rpartition("-")[0] for r in rows]
    groups = [g for k, g in enumerate(order) if k == 0 or order[k - 1] != g]
    assert len(groups) == len(set(groups))


def test_a_writer_that_is_killed_costs_at_most_the_row_it_was_writing(tmp_path, writers):
    path = tmp_path / "records.jsonl"
    [writer] = writers(path, "a", 1_000_000)
    wait(lambda: path.exists() and path.stat().st_size > 1_000_000)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    rows, notes = records.read(path)
    assert len(notes) <= 1
    indices = [(int(i), int(j)) for _, i, j in (r["id"].split("-") for r in rows)]
    assert indices == sorted(indices)
    assert {i for i, _ in indices} == set(range(max(indices)[0] + 1))
    after = row()
    records.append(path, [after])
    assert records.read(path) == ([*rows, after], notes)


# A limit on the file's size stands for a full disk: the write goes through in part, then fails.
FILL = """
import json, resource, sys
from pathlib import Path
from drnn_bench.results import records
path = Path(sys.argv[1])
limit = path.stat().st_size + 100
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    text = "x" * int(sys.argv[2])
    records.append(path, [{"id": "b", "schema": 1, "role": "final", "text": text}])
except OSError as error:
    print("refused", error.errno)
"""


@pytest.mark.parametrize("size", [500, 50_000])  # within a buffer, and beyond it
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, size):
    path = tmp_path / "records.jsonl"
    records.append(path, [row()])
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path), str(size)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.startswith("refused"), done.stderr
    assert path.read_bytes() == before
