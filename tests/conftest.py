"""Shared ground: where real data lies, and how a test types a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"  # real data, beside a development checkout only

torch.set_num_threads(1)


@pytest.fixture
def mnist_dir() -> Path:
    folder = SHARED / "mnist"
    if not folder.is_dir():
        pytest.skip("real MNIST is not beside this checkout")
    return folder


@pytest.fixture
def ptb_dir() -> Path:
    folder = SHARED / "ptb"
    if not folder.is_dir():
        pytest.skip("Penn Treebank is not beside this checkout")
    return folder


@pytest.fixture
def shakespeare_dir() -> Path:
    folder = SHARED / "shakespeare"
    if not folder.is_dir():
        pytest.skip("Tiny Shakespeare is not beside this checkout")
    return folder


@pytest.fixture
def bench(tmp_path):
    """Types `bench ...` in an empty folder: bench("run", "--trials", "2") -> finished process."""

    def call(
        *words: str, code: int | None = 0, cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess:
        done = subprocess.run(command(*words), capture_output=True, text=True, cwd=cwd, env=ENV)
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        assert code is None or code == 1 or "Traceback" not in done.stderr
        return done

    return call


ENV = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "80"}


def command(*words: str) -> list[str]:
    return [sys.executable, str(ROOT / "bench.py"), *map(str, words)]
