"""Shared ground: where real data lies, and how a test types a command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from postgres import database, postgres  # noqa: F401  (fixtures)

from drnn_bench.errors import UserError

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"  # real data, beside a development checkout only

torch.set_num_threads(1)

# No test reaches the hub, nor the user's cache of it. `datasets` reads both when imported.
HF_HOME = tempfile.TemporaryDirectory(prefix="hf-")
os.environ |= {"HF_HOME": HF_HOME.name, "HF_HUB_OFFLINE": "1"}


def real(name: str):
    """A fixture: the folder of a real data set; it skips where that is absent."""

    @pytest.fixture
    def folder() -> Path:
        if not (SHARED / name).is_dir():
            pytest.skip(f"the real data set {name!r} is not beside this checkout")
        return SHARED / name

    return folder


mnist_dir, ptb_dir, shakespeare_dir = real("mnist"), real("ptb"), real("shakespeare")
fsdd_dir, vctk_dir = real("fsdd"), real("vctk_sample")
ucr_dir, commands_dir = real("ucr"), real("arabic_speech_commands")


@pytest.fixture
def bench(tmp_path):
    """Types `bench ...` in an empty folder: bench("run", "--trials", "2") -> finished process."""

    def call(
        *words: str, code: int | None = 0, cwd: Path = tmp_path, **variables: str
    ) -> subprocess.CompletedProcess:
        done = subprocess.run(
            command(*words), capture_output=True, text=True, cwd=cwd, env=ENV | variables
        )
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        assert code is None or code == 1 or "Traceback" not in done.stderr
        return done

    return call


def refusal(call, *args) -> str:
    """What a call is refused with; checked to be one line."""
    with pytest.raises(UserError) as refused:
        call(*args)
    said = str(refused.value)
    assert len(said.splitlines()) == 1
    return said


ENV = {**os.environ, "COLUMNS": "80"}


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "bench.py"), *map(str, words)]
