"""What drnn_bench 0.1.0 wrote can still be used: an exported net, records, a study.

`data/exported-0.1` is the folder that its `bench export` wrote, `outputs.json` is what its `load`
computed. `data/runs-0.1` has the records and the study of the run it was exported from, and
`board.json` is what its `bench leaderboard --format json` printed:

    bench run --task pixel_digits --family dilated_rnn --budget 5000 --steps 30 --trials 2 --seeds 1
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import drnn_bench
from drnn_bench.export.loading import CONFIG
from tests.support.world import World

DATA = Path(__file__).parent / "data"
NET, RUNS = DATA / "exported-0.1", DATA / "runs-0.1"


def test_an_exported_net_gives_the_same_outputs():
    assert "digest" not in json.loads((NET / CONFIG).read_text())
    model = drnn_bench.load(NET)
    x_BTI = np.random.RandomState(0).uniform(-1, 1, (2, 20, 1)).astype(np.float32)
    with torch.no_grad():
        logits_BO = model(torch.from_numpy(x_BTI), last=1)[:, 0]
    expected = json.loads((NET / "outputs.json").read_text())["logits"]
    np.testing.assert_allclose(logits_BO.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_records_give_the_same_board(bench):
    [line] = json.loads(bench("leaderboard", "--runs-dir", RUNS, "--format", "json").stdout)
    [old] = json.loads((RUNS / "board.json").read_text())
    assert {key: line[key] for key in old} == old


@pytest.mark.slow
def test_a_study_is_continued(tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copy(RUNS / "studies.db", tmp_path / "runs")
    world = World(tmp_path, families=("dilated_rnn",), budgets=(5000,), steps=30, trials=3)
    [spec] = world.plan.specs
    assert spec.name == "pixel_digits/dilated_rnn/5000/0169a8ab44e8"
    before = [(trial.number, trial.value, trial.params) for trial in world.trials()]
    assert len(before) == 2
    world.search()
    *after, third = [(trial.number, trial.value, trial.params) for trial in world.trials()]
    assert after == before
    # What 0.1.0 drew when it continued the same study.
    assert third[2] == {
        "cell": "lstm", "base": 3, "start": 0, "depth": 3, "learning_rate": 0.047642610763203225,
    }  # fmt: skip
