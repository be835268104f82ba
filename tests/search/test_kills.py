"""A search whose trainers and drivers are killed at random moments loses and doubles nothing."""

from __future__ import annotations

import pytest
from kills import besiege, faults, row_faults, studies, words

from drnn_bench.search.trial_facts import best_trial
from tests.support.command import ENV, UNTIMED, command
from tests.support.inline import left_in_peace

SEARCH = {"families": ("dilated_rnn", "lstm"), "trials": 4, "steps": 30, "seeds": 1,
          "sampler": "random", "pruner": "none"}  # fmt: skip


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path):
    plan = left_in_peace(tmp_path / "undisturbed", **SEARCH)
    storage = f"sqlite:///{tmp_path}/runs/studies.db"
    killed = besiege(
        command("run", "--workers", "2", *words(SEARCH)), tmp_path, storage,
        kills=3, seed=0, pause=0.4, env=ENV | UNTIMED,
    )  # fmt: skip
    assert killed["trainers"] >= 1  # of 2: a very fast machine is done before
    assert killed["drivers"] >= 1
    assert faults(storage, plan.storage, plan.trials) == []
    assert row_faults(tmp_path / "runs", tmp_path / "undisturbed", plan.seeds, sessions=0) == []
    for name, trials in studies(storage).items():
        winner = best_trial(trials, plan.task.direction)
        assert winner.params == best_trial(studies(plan.storage)[name], plan.task.direction).params
