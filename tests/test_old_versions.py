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
from drnn_bench.search.study import nearly_the_same, studies_of
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
def test_a_study_of_the_protocol_before_is_kept_and_said(tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copy(RUNS / "studies.db", tmp_path / "runs")
    world = World(tmp_path, families=("dilated_rnn",), budgets=(5000,), steps=30, trials=3)
    known = {spec.digest: study for spec, study in studies_of(world.storage)}
    before = [(t.number, t.value, t.params) for t in known["0169a8ab44e8"].trials]
    assert len(before) == 2
    [spec] = world.plan.specs
    [line] = nearly_the_same(spec, [old for old, _ in studies_of(world.storage)])
    assert line == (
        "dilated_rnn: the search 0169a8ab44e8 is of protocol 1, new ones are of protocol 2; this "
        f"is another search, {spec.digest}"
    )
    world.search()
    assert len(world.trials()) == 3
    known = {spec.digest: study for spec, study in studies_of(world.storage)}
    assert before == [(t.number, t.value, t.params) for t in known["0169a8ab44e8"].trials]
