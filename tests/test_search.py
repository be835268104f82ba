"""Studies and trials in one process, on a real database and real data."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import text

from drnn_bench import live
from drnn_bench.database import TrialLock
from drnn_bench.errors import JobError, UserError
from drnn_bench.plan import Request, make_plan
from drnn_bench.search import Search, TrialFailed, release
from drnn_bench.search_space import read_space
from drnn_bench.storage import MAX_RETRIES, open_storage
from drnn_bench.studies import STARTUP, best_trial, open_study, summarise, tally


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


class World:
    """A plan, its storage, and workers that run in this process."""

    def __init__(self, folder, **request):
        asked = {"steps": 8, "trials": 3, "families": ("lstm", "dilated_cnn"), **request}
        self.plan = make_plan(Request(runs_dir=str(folder / "runs"), device="cpu", **asked))
        self.storage = open_storage(self.plan.storage)
        self.lock = TrialLock(self.storage)

    def search(self, trials=None, specs=None, worker="w") -> Search:
        return Search(
            self.storage, self.lock, list(specs or self.plan.specs),
            trials or self.plan.trials, self.plan.prepared, "cpu", worker,
        )  # fmt: skip

    def trials(self, spec=None):
        return open_study(self.storage, spec or self.plan.specs[0], self.plan.task).get_trials(
            deepcopy=False
        )


def test_every_study_gets_exactly_its_trials_and_a_second_call_adds_none(world):
    world.search().work()
    for spec in world.plan.specs:
        assert tally(world.trials(spec)).done == 3
    before = [len(world.trials(s)) for s in world.plan.specs]
    world.search().work()
    assert [len(world.trials(s)) for s in world.plan.specs] == before


def test_more_trials_extend_the_same_study_without_repeating(world):
    world.search(2).work()
    first = [t.params for t in world.trials()]
    world.search(4).work()
    assert [t.params for t in world.trials()][:2] == first
    assert sorted(t.user_attrs["index"] for t in world.trials()) == [0, 1, 2, 3]


def test_studies_advance_in_turn(world):
    done = []
    world.search().work(
        lambda: done.append([tally(world.trials(s)).done for s in world.plan.specs])
    )
    assert all(max(d) - min(d) <= 1 for d in done)


def test_many_threads_make_no_trial_too_many(world):
    crowd = [threading.Thread(target=world.search(5, worker=f"w{i}").work) for i in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    for spec in world.plan.specs:
        assert tally(world.trials(spec)).done == 5
        assert sorted(t.user_attrs["index"] for t in world.trials(spec)) == list(range(5))


def test_a_random_search_is_the_same_however_it_is_interrupted(tmp_path):
    asked = {"sampler": "random", "pruner": "none", "families": ("dilated_rnn",), "trials": 4}
    whole, pieces = World(tmp_path / "a", **asked), World(tmp_path / "b", **asked)
    whole.search().work()
    for trials in (1, 2, 4):
        pieces.search(trials).work()
    results = [
        {t.user_attrs["index"]: (t.params, t.value) for t in w.trials() if t.value is not None}
        for w in (whole, pieces)
    ]
    assert len(results[0]) == 4
    assert results[0] == results[1]


def test_a_running_trial_that_is_released_is_run_again_in_its_place(world):
    spec = world.plan.specs[0]
    search = world.search(1, specs=[spec], worker="victim")

    class Killed(BaseException):
        pass

    search._run = lambda *_: (_ for _ in ()).throw(Killed)
    with pytest.raises(Killed):
        search.work()
    study = open_study(world.storage, spec, world.plan.task)
    assert tally(world.trials()).running == 1
    assert release(study, world.lock, workers={"somebody else"}) == 0
    assert release(study, world.lock, workers={"victim"}, reason="killed by SIGKILL") == 1
    assert (tally(world.trials()).waiting, tally(world.trials()).taken) == (1, 1)
    world.search(1, specs=[spec]).work()
    dead, again = world.trials()
    assert (dead.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert dead.user_attrs["reason"] == "killed by SIGKILL"
    assert again.params == dead.params
    assert again.user_attrs["index"] == dead.user_attrs["index"] == 0
    assert again.user_attrs["retries"] == 1


def test_a_trial_found_dead_while_another_is_made_keeps_its_place(tmp_path):
    asked = {"sampler": "random", "pruner": "none", "families": ("dilated_rnn",), "trials": 3}
    whole, broken = World(tmp_path / "a", **asked), World(tmp_path / "b", **asked)
    whole.search().work()

    class Killed(BaseException):
        pass

    victim = broken.search(worker="victim")
    victim._run = lambda *_: (_ for _ in ()).throw(Killed)
    with pytest.raises(Killed):
        victim.work()
    with broken.storage.engine.begin() as connection:  # long ago
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    broken.search().work()
    results = [
        {t.user_attrs["index"]: (t.params, t.value) for t in w.trials() if t.value is not None}
        for w in (whole, broken)
    ]
    assert len(results[0]) == 3
    assert results[0] == results[1]
    assert tally(broken.trials()).duplicate == 0


def test_a_trial_that_was_queued_twice_is_run_once(world):
    """As when the answer of a database is lost, and it is asked again."""
    spec = world.plan.specs[0]
    world.search(1, specs=[spec]).work()
    study = open_study(world.storage, spec, world.plan.task)
    (first,) = study.trials
    for _ in range(2):
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.WAITING,
                user_attrs={"index": 1, "retries": 0},
                system_attrs={"fixed_params": first.params},
            )
        )
    world.search(3, specs=[spec]).work()
    count = tally(world.trials())
    assert (count.done, count.failed, count.waiting) == (3, 0, 0)
    done = [t for t in world.trials() if t.state == TrialState.COMPLETE]
    assert sorted(t.user_attrs["index"] for t in done) == [0, 1, 2]


def test_a_trial_that_others_end_while_it_is_made_is_left_to_them(world):
    spec = world.plan.specs[0]
    search = world.search(2, specs=[spec])
    draw, cut = search._draw, []

    def draw_too_late(trial, turn):
        if not cut:
            cut.append(trial)
            world.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return draw(trial, turn)

    search._draw = draw_too_late
    search.work()
    done = [t for t in world.trials() if t.state == TrialState.COMPLETE]
    assert sorted(t.user_attrs["index"] for t in done) == [0, 1]


def test_a_trial_that_keeps_failing_is_replaced_by_another_draw(world):
    spec = world.plan.specs[0]
    search = world.search(1, specs=[spec])
    run, calls = search._run, []

    def fail_first_draw(trial, *rest):
        calls.append(trial.params)
        if trial.params == calls[0]:
            trial.set_user_attr("reason", "MemoryError: no more")
            raise TrialFailed
        return run(trial, *rest)

    search._run = fail_first_draw
    search.work()
    count = tally(world.trials())
    assert (count.complete, count.failed) == (1, 1 + MAX_RETRIES)
    assert calls[0] == calls[1] == calls[2] != calls[3]


def test_a_training_run_that_raises_is_a_failed_trial_with_its_reason(world):
    search = world.search(1, specs=world.plan.specs[:1])
    search.arrays = {"train": search.arrays["train"]}  # no validation set: a KeyError within
    with pytest.raises(JobError, match="KeyError: 'validation'"):
        search.work()
    assert tally(world.trials()).failed == 5


def test_a_search_in_which_everything_fails_ends_with_the_reason(world):
    search = world.search(1, specs=world.plan.specs[:1])

    def fail(trial, *_):
        trial.set_user_attr("reason", "RuntimeError: broken")
        raise TrialFailed

    search._run = fail
    with pytest.raises(JobError, match="RuntimeError: broken"):
        search.work()


def test_a_diverged_trial_is_stored_as_pruned_and_the_search_goes_on(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        'family = "dilated_cnn"\n[space]\nlearning_rate = [1e-3, 1e35]\ndepth = 6\n'
        '[recipe]\noptimizer = "rmsprop"\nclip_norm = inf\nschedule = "constant"\n'
    )
    world = World(tmp_path, families=(), search_spaces=(str(path),), trials=6)
    world.search().work()
    count = tally(world.trials())
    assert count.done == 6
    assert 0 < count.diverged == count.pruned < 6
    assert best_trial(world.trials(), "max").user_attrs["learning_rate"] == 1e-3


def test_identical_draws_run_on_other_seeds_and_are_counted(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text('family = "lstm"\n[space]\ndepth = 1\nlearning_rate = [1e-3, 2e-3]\n')
    world = World(tmp_path, families=(), search_spaces=(str(path),), trials=4)
    world.search().work()
    count = tally(world.trials())
    assert (count.done, count.duplicate) == (4, 2)
    same = [t.value for t in world.trials() if t.params["learning_rate"] == 1e-3]
    assert len(set(same)) == len(same) > 0 or len(same) == 1


def test_infeasible_draws_are_no_trials(tmp_path):
    path = tmp_path / "space.toml"
    # A hundred layers of one unit each are more than 1,000 parameters.
    path.write_text('family = "lstm"\n[space]\ndepth = [1, 100]\nlearning_rate = 1e-3\n')
    world = World(tmp_path, families=(), search_spaces=(str(path),), trials=5, budgets=(1_000,))
    world.search().work()
    count = tally(world.trials())
    assert count.done == 5
    assert count.infeasible > 0
    assert all(t.value is None for t in world.trials() if "infeasible" in t.user_attrs)


def test_fifty_refusals_in_a_row_end_a_study(tmp_path):
    world = World(tmp_path, families=("lstm",), trials=2)
    spec = replace(world.plan.specs[0], budget=50)  # past the plan's own check
    world.search(specs=[spec]).work()
    assert tally(world.trials(spec)).infeasible == 50
    ended = open_study(world.storage, spec, world.plan.task).user_attrs["ended"]
    assert ended.startswith("50 infeasible draws in a row")


def test_start_up_trials_are_never_pruned(tmp_path):
    world = World(tmp_path, families=("dilated_cnn",), trials=STARTUP + 8, steps=40)
    world.search().work()
    startup = [t for t in world.trials() if t.user_attrs["startup"]]
    assert len(startup) == STARTUP
    assert all(t.state == TrialState.COMPLETE for t in startup)
    assert tally(world.trials()).pruned > 0
    summary = summarise(
        open_study(world.storage, world.plan.specs[0], world.plan.task), world.plan.specs[0], "max"
    )
    assert summary["startup_mean"] == pytest.approx(sum(t.value for t in startup) / STARTUP)
    assert summary["best"]["value"] == max(t.value for t in world.trials() if t.value and
                                           t.state == TrialState.COMPLETE)  # fmt: skip
    history = summary["history"]
    assert sorted(x["index"] for x in history) == list(range(STARTUP + 8))
    assert [x["hours"] for x in history] == sorted(x["hours"] for x in history)
    assert all(x["seconds"] > 0 and x["hours"] > 0 for x in history)
    states = [x["state"] for x in history]
    counts = summary["trials"]
    assert states.count("complete") == counts["complete"]
    assert states.count("pruned") + states.count("diverged") == counts["pruned"]
    assert states.count("diverged") == counts["diverged"]
    complete = {x["index"]: x["value"] for x in history if x["state"] == "complete"}
    assert complete == {x["index"]: x["value"] for x in summary["complete"]}
    assert all(x["value"] is None for x in history if x["state"] != "complete")


def test_a_search_in_which_everything_diverged_is_named_where_boards_are_made(tmp_path):
    space = tmp_path / "space.toml"
    space.write_text('family = "lstm"\n[space]\ndepth = 1\nlearning_rate = 1e38\n')
    world = World(tmp_path, families=("lstm",), search_spaces=(str(space),), trials=2)
    assert live.read(tmp_path / "runs") == ([], [])
    world.search().work()
    rows, [note] = live.read(tmp_path / "runs")
    assert rows == []
    assert note == (
        "pixel_digits, lstm at 5,000 parameters: no complete trial (2 pruned, 2 diverged), "
        "so it is on no board"
    )


def test_the_trials_seed_is_never_a_finals_seed(world):
    from drnn_bench.finals import final_seed
    from drnn_bench.studies import seed_for

    spec = world.plan.specs[0]
    trials = {seed_for(spec.seed, "trial", i) for i in range(1000)}
    assert not trials & {final_seed(spec, i) for i in range(20)}


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 9},
        {"seed": 1},
        {"warm_start": 1},
        {"sampler": "random"},
        {"pruner": "none"},
        {"budget": 5_001},
        {"data_hash": "0"},
        {"task": "copy_memory:T=500"},
        {"task_version": 2},
        {"space": {"learning_rate": 1e-3}},
        {"recipe": {"optimizer": "rmsprop"}},
    ],
)
def test_whatever_could_change_a_result_is_another_study(world, change):
    spec = world.plan.specs[0]
    assert replace(spec, **change).identity != spec.identity
    assert replace(spec).identity == spec.identity


def test_every_sampler_and_pruner_searches(tmp_path):
    for sampler, pruner in (("qmc", "median"), ("random", "none"), ("tpe", "asha")):
        world = World(tmp_path / sampler, sampler=sampler, pruner=pruner, trials=STARTUP + 2,
                      families=("dilated_rnn",), steps=4)  # fmt: skip
        world.search().work()
        assert tally(world.trials()).done == STARTUP + 2


def test_the_lock_is_held_by_one_process_at_a_time(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    code = (
        "import time; from drnn_bench.storage import open_storage\n"
        "from drnn_bench.database import TrialLock\n"
        f"lock = TrialLock(open_storage({url!r}))\n"
        "with lock.hold(): print('held', flush=True); time.sleep(1); print('free')"
    )
    two = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    lines = []
    readers = [threading.Thread(target=lambda p=p: lines.extend(p.stdout)) for p in two]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [line.strip() for line in lines] == ["held", "free", "held", "free"]


@pytest.mark.parametrize("url", ["nonsense", "foo://x", "sqlite://", "mysql://u@h/d"])
def test_an_unusable_storage_url_is_the_users_mistake(url):
    with pytest.raises(UserError, match="storage"):
        open_storage(url)


def test_a_space_file_is_read_the_same_from_the_study(world):
    spec = world.plan.specs[0]
    from drnn_bench.search_space import default_path

    assert spec.make_space() == read_space(default_path(spec.family))


def test_optuna_reads_what_a_trial_is_in_words(world):
    world.search(1).work()
    study = optuna.load_study(study_name=world.plan.specs[0].name, storage=world.storage)
    attrs = study.trials[0].user_attrs
    assert attrs["parameters"] <= 5_000
    assert attrs["architecture"].startswith("depth=")
    assert attrs["mrl"] == 33.0 or attrs["mrl"] > 33
