"""A search whose workers and parents are killed at random moments loses and doubles nothing."""

from __future__ import annotations

import pytest
from conftest import ENV, command
from kills import besiege, faults, row_faults

from drnn_bench.plan import Request, make_plan
from drnn_bench.search import Search
from drnn_bench.storage import TrialLock, open_storage
from drnn_bench.studies import best_trial, open_study

SEARCH = {"families": ("dilated_rnn", "lstm"), "trials": 6, "steps": 30, "seeds": 1,
          "sampler": "random", "pruner": "none"}  # fmt: skip


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path):
    # Undisturbed: one worker, in this process.
    plan = make_plan(Request(runs_dir=str(tmp_path / "undisturbed"), device="cpu", **SEARCH))
    storage, lock = open_storage(plan.storage), TrialLock(plan.storage)
    Search(storage, lock, list(plan.specs), plan.trials, plan.prepared, "cpu", "only").work()

    words = [f"--family={family}" for family in SEARCH["families"]]
    words += [f"--{name}={value}" for name, value in SEARCH.items() if name != "families"]
    disturbed = f"sqlite:///{tmp_path}/runs/studies.db"
    killed = besiege(
        command("run", "--workers", "2", *words), tmp_path, disturbed,
        kills=6, seed=0, pause=0.4, env=ENV,
    )  # fmt: skip
    assert killed["workers"] >= 2  # of 4: a very fast machine is done before
    assert killed["parents"] >= 1
    assert faults(disturbed, plan.storage, plan.trials) == []
    identities = {spec.identity for spec in plan.specs}
    assert row_faults(tmp_path / "runs" / "records.jsonl", identities, plan.seeds) == []
    for spec in plan.specs:
        winners = [
            best_trial(open_study(open_storage(url), spec, plan.task).trials, plan.task.direction)
            for url in (plan.storage, disturbed)
        ]
        assert winners[0].params == winners[1].params
