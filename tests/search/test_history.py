"""What the row of a search keeps of each trial: its net, its learning rate and its curve."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from drnn_bench.models.registry import restore_architecture
from drnn_bench.results import schema
from drnn_bench.results.recipe import Recipe
from drnn_bench.search import summary as module
from drnn_bench.search.study import STARTUP
from drnn_bench.search.summary import study_row, summarise
from tests.support.searched import searched
from tests.support.world import World


def test_pruned_trials_keep_their_net_and_their_curve(tmp_path):
    world = World(tmp_path, families=("dilated_cnn",), trials=STARTUP + 8, steps=40)
    world.search()
    spec, task = world.plan.specs[0], world.plan.task
    summary = summarise(world.study(), spec, "max")
    history = {x["index"]: x for x in summary["history"]}
    pruned = [x for x in history.values() if x["state"] == "pruned"]
    assert pruned
    for one in pruned:
        assert restore_architecture(task, spec.family, one["config"]).config == one["config"]
        assert 0 < len(one["curve"]) < 8
    for one in summary["complete"]:
        same = history[one["index"]]
        assert (same["config"], same["learning_rate"]) == (one["config"], one["learning_rate"])
        assert [step for step, _ in same["curve"]] == [5 * i for i in range(1, 9)]
        assert max(value for _, value in same["curve"]) == pytest.approx(one["value"], rel=1e-5)
    row = study_row(spec, world.plan.prepared, summary, "cpu") | {"started": "2026-01-31T12:00:00Z"}
    assert schema.fault(json.loads(json.dumps(row, allow_nan=False))) is None


def test_a_diverged_trial_keeps_what_it_did_before():
    one, study = searched(steps=80), optuna.create_study(direction="maximize")
    trial = study.ask()
    trial.set_user_attr("draw", {"place": 0, "config": one.best["config"], "learning_rate": 3.0})
    trial.set_user_attr("outcome", {"diverged": "loss not finite at step 33", "seconds": 1.0})
    trial.report(0.123456789, 1)
    trial.report(math.nan, 2)
    trial.report(0.5, 999)  # of no evaluation
    study.tell(trial, state=TrialState.PRUNED)
    [kept] = summarise(study, one.spec, "max")["history"]
    assert (kept["state"], kept["value"], kept["learning_rate"]) == ("diverged", None, 3.0)
    assert kept["config"] == one.best["config"]
    assert kept["curve"] == [[10, 0.123457]]


@given(count=st.integers(0, 300))
def test_a_long_curve_is_thinned_from_its_end(count):
    trial = optuna.trial.create_trial(
        state=TrialState.PRUNED, intermediate_values={i: 1 / i for i in range(1, count + 1)}
    )
    steps = dict(enumerate(Recipe(evaluations=300).evaluation_steps(600), 1))
    curve = module._curve(trial, steps)
    assert len(curve) <= module.POINTS
    assert len(curve) >= min(count, module.POINTS // 2)
    if count:
        assert curve[-1] == [2 * count, pytest.approx(1 / count, rel=1e-5)]
        gaps = {b[0] - a[0] for a, b in pairwise(curve)}
        assert len(gaps) <= 1
