"""The fixtures of all tests: where real data lies, a command that is typed, a database."""

from __future__ import annotations

import gc
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support")  # before it is imported

from drnn_bench import plugins  # noqa: E402
from tests.support.browser import browser  # noqa: E402, F401  (a fixture)
from tests.support.command import (  # noqa: E402
    ENV,
    ROOT,
    UNTIMED,
    checked,
    command,
    in_this_process,
)
from tests.support.inline import without_processes  # noqa: E402
from tests.support.once import make_once  # noqa: E402
from tests.support.page import FILES  # noqa: E402
from tests.support.postgres import database, postgres  # noqa: E402, F401  (fixtures)

SHARED = ROOT.parent / "shared" / "data"  # real data, beside a development checkout only

torch.set_num_threads(1)
make_once()
# Runs inherit what is ignored: HUP under `nohup`, INT in the background of a shell.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of what is tested.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that may take longest begin first, so that none of them is alone at the end."""

    def allowed(item: pytest.Item) -> float:
        limit = item.get_closest_marker("timeout")
        return limit.args[0] if limit else 1.0 * (item.get_closest_marker("slow") is not None)

    items.sort(key=allowed, reverse=True)


def pytest_collection_finish() -> None:
    """The tests and all that they import stay: the collector of cycles need not look at them. It
    took up to a tenth of the tests that trace nets."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


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
        return checked(done, code)

    return call


@pytest.fixture
def typed(tmp_path):
    """As `bench`, but in this process, which has torch loaded: for what is no matter of
    processes. The trainers of a run are in it too, unless `processes` is said."""

    def call(*words: str, code: int | None = 0, cwd: Path = tmp_path, processes: bool = False):
        return checked(in_this_process(*words, cwd=cwd, processes=processes), code)

    return call


@pytest.fixture
def inline(monkeypatch):
    """Runs from Python have their trainers in this process."""
    without_processes(monkeypatch)


@pytest.fixture
def untimed(monkeypatch):
    """The runs of `typed` time no finalist, which takes longest: no speed is owed."""
    monkeypatch.setattr("drnn_bench.jobs.after_search.speeds_owed", lambda *of: [])


@pytest.fixture
def start():
    """Starts `bench ...` in a folder; `before` stands in front of it. It times no finalist. What
    still runs when the test is over, however it ended, is killed."""
    processes: list[subprocess.Popen] = []

    def call(folder: Path, *words: str, before: tuple[str, ...] = (), **variables: str):
        process = subprocess.Popen(
            [*before, *command(*words)], cwd=folder, text=True, env=ENV | UNTIMED | variables,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        processes.append(process)
        return process

    yield call
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def page(tmp_path, monkeypatch) -> Path:
    """The files of docs/extending.md in an empty folder; nothing is plugged in."""
    monkeypatch.setenv(plugins.VARIABLE, "")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path
