"""benchmarks/rerun.sh: the commands of a published board, run as they stand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ENV, ROOT

BOARD = """# small

    cat > lstm-of-mine.toml <<'END'
    family = "lstm"
    [space]
    depth = 1
    learning_rate = { high = 0.1, log = true, low = 0.001 }
    END
    bench run --task pixel_digits --search-space lstm-of-mine.toml --trials 2 --steps 3 --seeds 1

The table.
"""


@pytest.fixture
def rerun(tmp_path):
    """Types `rerun.sh ...` of a tree whose boards are `small` and `smaller`."""
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "rerun.sh", tmp_path / "benchmarks")
    (tmp_path / "leaderboards").mkdir()
    for name in ("small", "smaller"):
        (tmp_path / "leaderboards" / f"{name}.md").write_text(BOARD)
    (tmp_path / "bench").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "bench.py"} "$@"\n')
    (tmp_path / "bench").chmod(0o755)

    def call(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [tmp_path / "benchmarks" / "rerun.sh", *words], capture_output=True, text=True,
            cwd=tmp_path, env=ENV | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip

    return call


def test_a_boards_commands_run_in_a_folder_of_their_own(rerun, tmp_path):
    done = rerun("smalle", "made again", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "Plan: pixel_digits" in done.stdout
    assert " 2 " in next(line for line in done.stdout.splitlines() if " lstm " in line)
    assert (tmp_path / "made again" / "lstm-of-mine.toml").is_file()


@pytest.mark.parametrize("words", [[], ["small"], ["smal", "folder"], ["other", "folder"]])
def test_boards_are_named_where_none_is_meant(words, rerun, tmp_path):
    done = rerun(*words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["small", "smaller"]
    assert not (tmp_path / "folder").exists()


def test_a_command_that_fails_is_the_last(rerun, tmp_path):
    board: Path = tmp_path / "leaderboards" / "small.md"
    board.write_text(BOARD.replace("--trials 2", "--trials no") + "\n    touch later\n")
    assert rerun("small", "folder").returncode == 2
    assert not (tmp_path / "folder" / "later").exists()
