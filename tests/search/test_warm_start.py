"""An expert's first trials: which they are, and that each is made once and counted."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import pytest
from optuna.trial import TrialState

from drnn_bench.board import renderings
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.models.budget import Infeasible, solve_width
from drnn_bench.models.mrl import mean_recurrent_length, reach
from drnn_bench.models.names import FAMILIES
from drnn_bench.results.ranking import rank_rows
from drnn_bench.search.samplers import make_sampler
from drnn_bench.search.space_file import default_path, make_space, read_space
from drnn_bench.search.study import STARTUP, StudySpec, open_study
from drnn_bench.search.summary import study_row, summarise
from drnn_bench.search.trial_facts import TrialFacts, count_trials
from drnn_bench.search.warm_start import enqueue, warm_start
from drnn_bench.tasks.registry import parse_task
from tests.support.refused import refusal
from tests.support.world import World

DIGITS = parse_task("pixel_digits")
MIDDLE = math.sqrt(3e-4 * 1e-1)  # of the shipped spaces' range


def spec_of(space, count: int, *, budget: int = 5_000, task=DIGITS) -> StudySpec:
    return StudySpec(
        task=task.key, task_version=1, data_hash="", family=space.family, budget=budget, steps=1,
        recipe=space.recipe.table, sampler="tpe", pruner="asha", space=space.table, seed=0,
        warm_start=count,
    )  # fmt: skip


def shipped(family: str, count: int, **changes) -> StudySpec:
    return spec_of(read_space(default_path(family)), count, **changes)


def nets(spec: StudySpec, task=DIGITS):
    """The chosen ones, built."""
    return [
        solve_width(
            spec.family, {k: v for k, v in params.items() if k != "learning_rate"},
            input_size=1, output_size=task.output_size, budget=spec.budget, length=task.length,
        )
        for params in warm_start(spec, task)
    ]  # fmt: skip


# -- which they are ------------------------------------------------------------------------------


INITS = ("orthogonal", "paper")  # of vanilla cells; the others have the first


def test_dilated_nets_are_those_of_the_smallest_mrl_that_the_budget_allows():
    spec = shipped("dilated_rnn", 9, budget=200)
    by_hand = []
    axes = ("rnn", "gru", "lstm"), (2, 3, 4), range(4), range(2, 13), (False, True), INITS
    for cell, base, start, depth, fusion, init in itertools.product(*axes):
        if (fusion and not start) or (cell != "rnn" and init != INITS[0]):
            continue
        options = {"cell": cell, "base": base, "start": start, "depth": depth, "init": init}
        try:
            net = solve_width(
                "dilated_rnn", options | {"fusion": fusion},
                input_size=1, output_size=10, budget=200, length=64,
            )  # fmt: skip
        except Infeasible:
            continue
        by_hand.append((mean_recurrent_length(net, 63), net))
    by_hand.sort(key=lambda pair: pair[0])  # stable: of equals, the first in the space's order
    (ample,) = nets(shipped("dilated_rnn", 1, budget=50_000))
    assert mean_recurrent_length(ample, 63) < by_hand[0][0]  # what this budget cannot have
    assert nets(spec) == [net for _, net in by_hand[:9]]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_its_expert_by_the_same_rule(family):
    spec = shipped(family, 3)
    chosen = warm_start(spec, DIGITS)
    assert chosen == warm_start(spec, DIGITS)
    assert warm_start(replace(spec, warm_start=2), DIGITS) == chosen[:2]
    assert all(params["learning_rate"] == pytest.approx(MIDDLE) for params in chosen)
    built = nets(spec)
    assert len(set(built)) == 3
    mrls = [mean_recurrent_length(net, 63) for net in built]
    assert mrls == sorted(mrls)
    assert math.isfinite(mrls[0])
    if reach(built[0]) is not None:  # a convolution: the shallowest that sees the whole sequence
        assert reach(built[0]) >= 63


def test_convolutions_that_see_too_little_go_by_their_reach():
    space = make_space(
        {
            "family": "dilated_cnn",
            "space": {"depth": [2, 4, 3], "kernel": [2, 3], "learning_rate": [1e-2, 1e-1, 1e-3]},
        }
    )
    spec = spec_of(space, 6)
    reaches = [reach(net) for net in nets(spec)]
    assert max(reaches) < 63
    assert reaches == sorted(reaches, reverse=True) == [30, 15, 14, 7, 6, 3]
    assert {params["learning_rate"] for params in warm_start(spec, DIGITS)} == {1e-2}


def test_what_is_fixed_is_not_asked_for():
    space = make_space({"family": "lstm", "space": {"depth": 2, "learning_rate": 1e-3}})
    assert warm_start(spec_of(space, 1), DIGITS) == [{}]


def test_a_family_that_has_too_few_is_refused():
    assert "--warm-start 5" in (said := refusal(warm_start, shipped("lstm", 5), DIGITS))
    assert "only 4 architectures" in said
    said = refusal(warm_start, shipped("lstm", 3, budget=60), DIGITS)
    assert "at budget 60 on pixel_digits" in said


@pytest.mark.parametrize(("count", "trials"), [(-1, 5), (6, 5)])
def test_more_than_the_trials_or_fewer_than_none_is_refused(tmp_path, count, trials):
    asked = Request(runs_dir=str(tmp_path / "runs"), trials=trials, warm_start=count)
    assert "--warm-start must be from 0 to --trials, here 5" in refusal(make_plan, asked)


def test_the_plan_refuses_what_a_family_cannot_start_with(tmp_path):
    asked = Request(runs_dir=str(tmp_path / "runs"), trials=9, warm_start=7)
    assert "lstm has only 4 architectures that are feasible" in refusal(make_plan, asked)


def test_a_study_without_a_warm_start_is_the_one_it_was():
    spec = StudySpec(
        task="pixel_digits", task_version=1, data_hash="440a98b1b37637e7", family="lstm",
        budget=5000, steps=800, recipe={"optimizer": "adam", "evaluations": 8}, sampler="tpe",
        pruner="asha", space={"depth": 1, "learning_rate": 0.001}, seed=0,
    )  # fmt: skip
    assert spec.digest == "3d5113c8be17"
    assert replace(spec, protocol=1).digest == "746d41f42080"  # as published rows have it
    others = {replace(spec, warm_start=n).digest for n in (1, 2)}
    assert len({*others, spec.digest}) == 3


# -- in a search ---------------------------------------------------------------------------------


def warm_world(folder, **request):
    small = {"warm_start": 2, "families": ("dilated_cnn",), "trials": 4, "steps": 4}
    return World(folder, **small | request)


def test_they_come_first_count_as_trials_and_the_board_says_whether_they_won(tmp_path):
    world = warm_world(tmp_path, trials=STARTUP + 3)
    (spec,) = world.plan.specs
    world.search()
    trials = sorted(world.trials(), key=lambda t: TrialFacts.of(t).place)
    assert count_trials(trials).done == len(trials) == STARTUP + 3
    assert [t.params for t in trials[:2]] == warm_start(spec, DIGITS)
    assert [TrialFacts.of(t).warm for t in trials] == [True] * 2 + [False] * (STARTUP + 1)
    startup = [t for t in trials if TrialFacts.of(t).startup]
    assert startup == trials[2 : STARTUP + 2]

    study = open_study(world.storage, spec, DIGITS)
    summary = summarise(study, spec, "max")
    assert (summary["warm"], summary["startup_n"]) == (2, STARTUP)
    assert summary["startup_mean"] == pytest.approx(sum(t.value for t in startup) / STARTUP)
    assert summary["best"]["warm"] == (summary["best"]["index"] < 2)
    for won in (True, False):
        best = summary["best"] | {"warm": won}
        row = study_row(spec, world.plan.prepared, summary | {"best": best}, "cpu") | {
            "started": "2026-01-01"
        }
        text = renderings.to_markdown(rank_rows([row]))
        assert f"best is one of them for {'dilated_cnn' if won else 'no family'}." in text
        assert "2 warm)" in text
        assert "--warm-start 2 --seed 0" in text


def test_the_random_start_up_follows_them():
    spec = shipped("lstm", 2)
    kinds = [type(make_sampler(spec, index, 0)).__name__ for index in range(STARTUP + 4)]
    assert kinds == ["StartupSampler"] * (STARTUP + 2) + ["TPESampler"] * 2


def test_it_is_the_same_search_when_it_is_interrupted(tmp_path):
    whole, pieces = warm_world(tmp_path / "a"), warm_world(tmp_path / "b")
    whole.search()
    for trials in (1, 3, 4):
        pieces.search(trials)
    told = [[(t.params, t.value, TrialFacts.of(t).place) for t in w.trials()]
            for w in (whole, pieces)]  # fmt: skip
    assert told[0] == told[1]
    assert len(told[0]) == 4


def test_what_a_dead_driver_left_half_queued_is_finished_by_the_next(tmp_path):
    world = warm_world(tmp_path, warm_start=3)
    (spec,) = world.plan.specs
    study, chosen = open_study(world.storage, spec, DIGITS), warm_start(spec, DIGITS)
    study.enqueue_trial(chosen[0], user_attrs={"draw": {"place": 0, "warm": True}})
    for _ in range(2):
        enqueue(study, spec, DIGITS)
    assert [t.state for t in study.trials] == [TrialState.WAITING] * 3
    assert [TrialFacts.of(t).place for t in study.trials] == [0, 1, 2]
    assert [t.system_attrs["fixed_params"] for t in study.trials] == chosen


def test_one_that_is_interrupted_stays_one(tmp_path):
    world = warm_world(tmp_path)
    (spec,) = world.plan.specs

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.driver(1).run(stop)
    assert count_trials(world.trials()).done == 0
    world.search(2)
    done = [t for t in world.trials() if t.state == TrialState.COMPLETE]
    facts = [TrialFacts.of(t) for t in done]
    assert sorted(f.place for f in facts) == [0, 1]
    assert all(f.warm and not f.startup for f in facts)
    assert {str(t.params) for t in done} == {str(params) for params in warm_start(spec, DIGITS)}


@dataclass(frozen=True)
class Fails:
    def run(self, shared):
        yield from ()
        raise RuntimeError("bad luck")


def test_one_that_keeps_failing_is_replaced_by_a_random_start_up_trial(tmp_path):
    world, calls = warm_world(tmp_path, warm_start=1, trials=1), []

    def fail_the_warm(job):
        calls.append((job.config, job.learning_rate))
        return Fails() if calls[-1] == calls[0] else job

    world.search(change=fail_the_warm)
    count, last = count_trials(world.trials()), TrialFacts.of(world.trials()[-1])
    assert (count.complete, count.failed) == (1, 3)
    assert (last.place, last.startup, last.warm) == (0, True, False)


def test_they_are_never_pruned(tmp_path):
    world = warm_world(tmp_path, warm_start=6, trials=6, steps=40)
    world.search()
    trials = world.trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 6
    # Though asha asked after two evaluations, and the second trial was behind the first.
    first, second = (t.intermediate_values[2] for t in trials[:2])
    assert second < first
