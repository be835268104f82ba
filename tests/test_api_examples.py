"""The public functions: their signatures, and the examples of their docstrings, which run."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import drnn_bench
from drnn_bench.board import publish
from drnn_bench.cli.export import export
from drnn_bench.jobs import after_search
from drnn_bench.results import records


@pytest.mark.parametrize("name", drnn_bench.__all__)
def test_a_public_function_has_a_signature_of_its_own_and_says_what_it_raises(name):
    function = getattr(drnn_bench, name)
    variadic = [x.name for x in inspect.signature(function).parameters.values()
               if x.kind is x.VAR_KEYWORD]  # fmt: skip
    assert variadic == (["options"] if name in ("build", "configure", "describe") else [])
    assert "Raises" in inspect.getdoc(function)
    assert ">>> " in inspect.getdoc(function)


def test_what_there_is_is_listed_and_costs_nothing():
    assert {*drnn_bench.__all__, "__version__"} == {*dir(drnn_bench)}
    code = (
        "import drnn_bench, sys; dir(drnn_bench)\n"
        "print({'torch', 'pandas', 'optuna', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def run_examples(name: str) -> None:
    """Raises where an example of a public function gives something else than its docstring says."""
    function = getattr(drnn_bench, name)
    globs = {"drnn_bench": drnn_bench, "torch": torch}
    text = inspect.getdoc(function)
    test = doctest.DocTestParser().get_doctest(text, globs, name, None, 0)
    assert test.examples
    doctest.DebugRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test)


@pytest.mark.parametrize("name", ["build", "configure", "describe", "mean_recurrent_length"])
def test_the_examples_of_nets_hold(name):
    run_examples(name)


@pytest.mark.slow
def test_the_example_of_a_run_holds_and_its_board_is_published(inline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_examples("run")
    rows, _ = records.read(Path("runs/records.jsonl"))
    published, _ = records.read(Path("leaderboards/records/pixel_digits.jsonl"))
    assert published == rows
    assert publish.check(Path("leaderboards")) == []
    run_examples("leaderboard")
    run_examples("styled")
    run_examples("replay")
    export(output="net", runs_dir="runs")
    run_examples("load")

    # Another folder's run leaves that board as it is, unless it is asked to.
    monkeypatch.setattr(after_search, "speeds_owed", lambda *of: [])  # that takes longest
    small = {"families": ["lstm"], "trials": 1, "steps": 4, "seeds": 1, "workers": 1}
    before = Path("leaderboards/pixel_digits.csv").read_bytes()
    board = drnn_bench.run(**small, runs_dir="other")
    assert board["steps"].tolist() == [4]
    assert Path("leaderboards/pixel_digits.csv").read_bytes() == before
    drnn_bench.run(**small, runs_dir="other", publish=True)
    assert len(Path("leaderboards/pixel_digits.csv").read_text().splitlines()) == 3


def test_the_example_of_a_plug_in_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRNN_BENCH_PLUGINS", "")
    Path("my_nets.py").write_text("")
    run_examples("plugin")
