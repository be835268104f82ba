"""Streams that close, fill up or lack a character: real processes, and everything is saved."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drnn_bench.results import records
from tests.support.command import ENV, ROOT, UNTIMED, command, in_turn

SMALL = ("run", "--family", "lstm", "--trials", "2", "--steps", "4", "--seeds", "1",
         "--workers", "1")  # fmt: skip


def shell(line: str, folder, **variables: str) -> subprocess.CompletedProcess:
    """A line of bash in which `bench` is the command; `code` is written to a file."""
    bench = " ".join(map(shlex.quote, command()))
    done = subprocess.run(
        ["bash", "-c", f"bench() {{ {bench} \"$@\"; }}\n{line}"],
        capture_output=True, cwd=folder, env=ENV | variables,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr + done.stdout, done.stderr
    assert b"Exception ignored" not in done.stderr
    return done


NOT_TAKEN = [
    ("| head -1 >/dev/null", 0, None),
    (">/dev/full", 1, "No space left on device"),
    (">&- 2>&-", 1, None),
    ("| true", 0, None),
    (">&-", 1, "it is closed"),
    ("2>&-", 0, None),
    ("2>/dev/full", 0, None),
    (">/dev/full 2>/dev/full", 1, None),
    ("<&-", 0, None),
    ("<&- 2>&-", 0, None),
]


@pytest.mark.parametrize(
    ("words", "redirection", "code", "said"),
    [("--help", *one) for one in NOT_TAKEN] + [("ls tasks", *one) for one in NOT_TAKEN[:3]],
)
def test_what_becomes_of_output_that_is_not_taken(words, redirection, code, said, tmp_path):
    done = shell(f"bench {words} {redirection}; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert done.returncode == code
    lines = done.stderr.decode().splitlines()
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&1 | true"])
def test_a_mistake_keeps_its_exit_code_where_nobody_reads_of_it(redirection, tmp_path):
    done = shell(f"bench run --task nope {redirection}; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert done.returncode == 2
    assert done.stdout in (
        b"",
        b"loading\n",
    )  # with standard error closed, print(file=None) would write here


def assert_saved(folder: Path) -> None:
    rows, notes = records.read(folder / "runs" / "records.jsonl")
    assert not notes
    assert {row["role"] for row in rows} == {"final", "study"}
    [study] = [row for row in rows if row["role"] == "study"]
    assert study["trials"]["complete"] + study["trials"]["pruned"] == 2
    assert study["trials"]["failed"] == 0
    assert (folder / "leaderboards" / "pixel_digits.md").is_file()


@pytest.mark.slow
def test_a_run_that_nobody_reads_is_done_and_saved_to_its_end(tmp_path):
    line = f"bench {' '.join(SMALL)} >/dev/full 2>&- <&-"
    assert shell(line, tmp_path, **UNTIMED).returncode == 1
    assert_saved(tmp_path)


@pytest.mark.slow
def test_a_board_that_nobody_reads_is_written_all_the_same(typed, untimed, tmp_path):
    typed(*SMALL)
    for redirection, code in (("| head -1", 0), (">&- 2>said", 1)):
        shutil.rmtree(tmp_path / "leaderboards")
        line = f"bench {' '.join(SMALL)} {redirection}; exit ${{PIPESTATUS[0]}}"
        assert shell(line, tmp_path, **UNTIMED).returncode == code
        assert_saved(tmp_path)


# Commands that one process types in turn: each alone would take most of its time to start.
TYPED = [
    ["leaderboard", "--runs-dir", str(ROOT / "leaderboards"), "--task", "speaker_fsdd"],
    ["leaderboard", "--runs-dir", str(ROOT / "leaderboards"), "--task", "speaker_fsdd",
     "--format", "markdown"],
    ["ls", "tasks"],
    ["run", "--task", "名前"],
    ["run", "--task", "caf\udce9"],
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_every_encoding_gets_all_that_it_can_write(encoding, tmp_path):
    done = in_turn(TYPED, tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding).splitlines()[-1] == "[0, 0, 0, 2, 2]"
    assert done.stderr.decode(encoding).count("bench: ") == 2
    assert b"Traceback" not in done.stderr
    if encoding == "ascii":
        assert b" +- " in done.stdout
        assert b"\\u00b1" not in done.stdout


def test_the_c_locale_with_a_folder_in_another_script(tmp_path):
    folder = tmp_path / "نتائج"
    done = shell(
        f"bench status --runs-dir {shlex.quote(str(folder))}", tmp_path,
        LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0",
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_pipe_that_does_not_block_gets_everything(tmp_path):
    """Whoever shares a pipe may have made it so; then a write may take only a part, or nothing."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    code = (
        "import sys; from drnn_bench.system import streams; streams.guard()\n"
        "print('x' * 1_000_000); sys.exit(streams.lost())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE,
        env=ENV | {"PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        os.close(write)
        with os.fdopen(read, "rb") as file:
            assert len(file.read()) == 1_000_001
        assert process.wait() == 0, process.stderr.read()
