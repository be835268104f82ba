"""The fixtures of all tests: where real data lies, a command that is typed, a database."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

pytest.register_assert_rewrite("tests.support")  # before it is imported

from drnn_bench import plugins  # noqa: E402
from tests.support.command import ENV, ROOT, command  # noqa: E402
from tests.support.page import FILES  # noqa: E402
from tests.support.postgres import database, postgres  # noqa: E402, F401  (fixtures)

SHARED = ROOT.parent / "shared" / "data"  # real data, beside a development checkout only

torch.set_num_threads(1)


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


@pytest.fixture
def page(tmp_path, monkeypatch) -> Path:
    """The files of docs/extending.md in an empty folder; nothing is plugged in."""
    monkeypatch.setenv(plugins.VARIABLE, "")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path
