"""The public names, as somebody uses them from Python."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import drnn_bench


def test_every_public_name_is_a_function_whatever_was_imported_before(tmp_path):
    code = (
        "import importlib, pkgutil, drnn_bench\n"
        "for module in pkgutil.iter_modules(drnn_bench.__path__, 'drnn_bench.'):\n"
        "    if module.name != 'drnn_bench.execution.ray': importlib.import_module(module.name)\n"
        "print([name for name in drnn_bench.__all__ if type(getattr(drnn_bench, name)).__name__"
        " != 'function'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_net_is_built_described_and_measured_by_its_edges():
    sizes = {"input_size": 1, "output_size": 10}
    model = drnn_bench.build("dilated_rnn", **sizes, cell="gru", base=2, depth=9, start=0,
                             fusion=False, width=20)  # fmt: skip
    assert model(torch.randn(2, 30, 1)).shape == (2, 30, 10)
    assert sum(p.numel() for p in model.parameters()) == 21_210
    facts = drnn_bench.describe("dilated_rnn", **sizes, cell="gru", budget=21_500, length=784)
    assert (facts["width"], facts["parameters"]) == (20, 21_210)
    config = drnn_bench.configure("dilated_rnn", **sizes, width=20)
    assert drnn_bench.mean_recurrent_length(config) == pytest.approx(13.0039, abs=5e-5)
    assert drnn_bench.mean_recurrent_length(config, 783) == facts["mrl"]
    with pytest.raises(ValueError, match="depth"):
        drnn_bench.build("dilated_rnn", **sizes, width=20, depth=0)
    with pytest.raises(AttributeError, match="nothing"):
        drnn_bench.nothing  # noqa: B018


@pytest.mark.slow
def test_the_whole_job_runs_from_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    board = drnn_bench.run(
        families=("dilated_cnn",), steps=10, trials=1, seeds=2, workers=1, runs_dir="here"
    )
    assert board["family"].tolist() == ["dilated_cnn"]
    assert board["n"].tolist() == [2]
    assert drnn_bench.leaderboard(runs_dir="here").equals(board)
    with pytest.raises(ValueError, match="nothing has been run"):
        drnn_bench.leaderboard(runs_dir="elsewhere")
