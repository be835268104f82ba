"""How a test types a command: as a process of its own, or in the tests' process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from drnn_bench.cli import app
from tests.support.inline import without_processes

ROOT = Path(__file__).parent.parent.parent

# No test reaches the hub, nor the user's cache of it. `datasets` reads both when imported.
HF_HOME = tempfile.TemporaryDirectory(prefix="hf-")
os.environ |= {"HF_HOME": HF_HOME.name, "HF_HUB_OFFLINE": "1"}
# Nor does it see more, or other colours, than a user's shell shows.
os.environ["TERM"] = "xterm-256color"
for name in ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)

ENV = {**os.environ, "COLUMNS": "80"}
# The runs of such a process time no finalist: see `untimed/sitecustomize.py`.
UNTIMED = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "untimed"), str(ROOT)])}


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "bench.py"), *map(str, words)]


def in_this_process(*words: str, cwd: Path, processes: bool = False) -> subprocess.CompletedProcess:
    """The console script's own function, with the same folder, words and width of terminal. Its
    trainers are in this process too, unless they are to be `processes` of their own."""
    out, errors = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        patch.chdir(cwd)
        patch.setenv("COLUMNS", ENV["COLUMNS"])
        patch.setattr(sys, "argv", ["bench", *map(str, words)])
        if not processes:
            without_processes(patch)
        with pytest.raises(SystemExit) as ended:
            app.main()
    return subprocess.CompletedProcess(words, ended.value.code, out.getvalue(), errors.getvalue())


IN_TURN = """
import json, sys
from drnn_bench.cli import app
codes = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["bench", *words]
    try:
        app.main()
    except SystemExit as end:
        codes.append(end.code)
print(codes)
"""


def in_turn(
    commands: Sequence[list[str]], cwd: Path, **variables: str
) -> subprocess.CompletedProcess:
    """One process of its own types these commands; what it prints, in bytes, ends with their exit
    codes. Each alone would take most of its time to start."""
    return subprocess.run(
        [sys.executable, "-c", IN_TURN, json.dumps(commands)],
        capture_output=True, cwd=cwd, env=ENV | {"PYTHONPATH": str(ROOT)} | variables,
    )  # fmt: skip


def checked(done: subprocess.CompletedProcess, code: int | None) -> subprocess.CompletedProcess:
    """The command as it ended: with this exit code, and with a traceback only where that is 1."""
    if code is not None:
        assert done.returncode == code, done.stdout + done.stderr
    assert code is None or code == 1 or "Traceback" not in done.stderr
    return done
