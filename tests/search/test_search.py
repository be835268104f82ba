"""The driver of a search in one process, on a real database and real data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from sqlalchemy import event

from drnn_bench.errors import JobError, UserError
from drnn_bench.jobs import runs_folder
from drnn_bench.search import driver as driver_module
from drnn_bench.search.places import (
    LOSSES,
    RETRIES,
)
from drnn_bench.search.space_file import default_path, read_space
from drnn_bench.search.storage import open_storage
from drnn_bench.search.study import STARTUP, seed_for
from drnn_bench.search.summary import summarise
from drnn_bench.search.trial import TrialJob
from drnn_bench.search.trial_facts import (
    TrialFacts,
    best_trial,
    count_trials,
    fills_place,
)
from tests.support.inline import Vanish
from tests.support.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def one(tmp_path):
    """A search of one family at random, of which no trial is pruned."""
    return World(tmp_path, families=("dilated_rnn",), sampler="random", pruner="none")


@dataclass(frozen=True)
class Instead:
    """A job that raises in another's place."""

    error: BaseException

    def run(self, shared):
        yield from ()
        raise self.error


def results(world):
    return {TrialFacts.of(t).place: (t.params, t.value) for t in world.trials() if fills_place(t)}


class TestCounting:
    def test_every_study_gets_exactly_its_trials_and_a_second_run_adds_none(self, world):
        world.search()
        for spec in world.plan.specs:
            assert count_trials(world.trials(spec)).done == 3
        before = [len(world.trials(s)) for s in world.plan.specs]
        world.search()
        assert [len(world.trials(s)) for s in world.plan.specs] == before

    def test_more_trials_extend_the_same_study_without_repeating(self, world):
        world.search(2)
        first = [t.params for t in world.trials()]
        world.search(4)
        assert [t.params for t in world.trials()][:2] == first
        assert world.places() == [0, 1, 2, 3]

    def test_fewer_trials_than_there_are_change_nothing(self, world):
        world.search(3)
        world.search(2)
        assert world.places() == [0, 1, 2]

    def test_the_studies_advance_in_turn(self, world):
        driver, done = world.driver(), []
        driver.run(
            lambda: done.append([count_trials(world.trials(s)).done for s in world.plan.specs])
        )
        assert all(max(d) - min(d) <= 1 for d in done)

    def test_many_trainers_make_no_trial_too_many(self, world):
        world.search(5, size=4)
        for spec in world.plan.specs:
            assert sorted(world.places(spec)) == list(range(5))
            assert len(world.trials(spec)) == 5

    def test_identical_draws_run_on_other_seeds_and_are_counted(self, tmp_path):
        path = tmp_path / "space.toml"
        path.write_text('family = "lstm"\n[space]\ndepth = 1\nlearning_rate = [1e-3, 2e-3]\n')
        world = World(tmp_path, families=(), search_spaces=(str(path),), trials=4)
        world.search()
        count = count_trials(world.trials())
        assert (count.done, count.duplicate) == (4, 2)
        for rate in (1e-3, 2e-3):
            same = [t.value for t in world.trials() if t.params["learning_rate"] == rate]
            assert len(set(same)) == len(same)

    def test_infeasible_draws_are_no_trials(self, tmp_path):
        path = tmp_path / "space.toml"
        # A hundred layers of one unit each are more than 1,000 parameters.
        path.write_text('family = "lstm"\n[space]\ndepth = [1, 100]\nlearning_rate = 1e-3\n')
        world = World(tmp_path, families=(), search_spaces=(str(path),), trials=5, budgets=(1_000,))
        world.search()
        count = count_trials(world.trials())
        assert count.done == 5
        assert count.infeasible > 0
        refused = [t for t in world.trials() if TrialFacts.of(t).infeasible is not None]
        assert all(t.value is None for t in refused)

    def test_fifty_refusals_in_a_row_end_a_study(self, tmp_path):
        world = World(tmp_path, families=("lstm",), trials=2)
        spec = replace(world.plan.specs[0], budget=50)  # past the plan's own check
        world.search(specs=[spec])
        assert count_trials(world.trials(spec)).infeasible == 50
        ended = world.study(spec).user_attrs["ended"]
        assert ended.startswith("50 infeasible draws in a row")

    def test_optuna_reads_what_a_trial_is_in_words(self, world):
        world.search(1)
        study = optuna.load_study(study_name=world.plan.specs[0].name, storage=world.storage)
        draw = study.trials[0].user_attrs["draw"]
        assert draw["parameters"] <= 5_000
        assert draw["architecture"].startswith("depth=")
        assert draw["mrl"] >= 33
        assert study.trials[0].user_attrs["outcome"]["seconds"] > 0


class TestTheStorage:
    def test_a_trial_is_drawn_in_one_write_and_ended_in_two(self, tmp_path):
        """Each write waits for the disk, and a trainer for it."""
        world = World(tmp_path, families=("lstm",), trials=STARTUP + 2)
        world.search(STARTUP)
        driver, before, writes = world.driver(), len(world.trials()), []

        @event.listens_for(world.storage.engine, "before_cursor_execute")
        def note(connection, cursor, statement, parameters, context, executemany):
            if statement.startswith(("INSERT", "UPDATE")):
                connection.info["wrote"] = True

        @event.listens_for(world.storage.engine, "commit")
        def commit(connection):
            writes.append(connection.info.pop("wrote", False))

        driver.run()
        written, drawn = sum(writes), world.trials()[before:]
        reports = sum(len(trial.intermediate_values) for trial in drawn)
        assert len(drawn) >= 2
        assert reports
        assert written == 3 * len(drawn) + reports

    @pytest.mark.parametrize("sampler", ["tpe", "qmc"])
    @pytest.mark.parametrize("size", [1, 3])
    def test_a_driver_knows_what_the_storage_holds(self, tmp_path, sampler, size):
        world = World(tmp_path, sampler=sampler, trials=STARTUP + 3, families=("dilated_rnn",))
        driver = world.driver(size=size)
        (study,), looks = driver.studies, []

        def look():
            if study.certain:
                looks.append(1)
                for known, stored in zip(study.known, study.trials(), strict=True):
                    facts = ("number", "state", "params", "distributions", "user_attrs")
                    for fact in facts:
                        assert getattr(known, fact) == getattr(stored, fact)
                    if stored.state.is_finished():
                        assert known.values == stored.values
                        assert known.intermediate_values == stored.intermediate_values

        driver.run(look)
        assert len(looks) > STARTUP
        assert len(study.known) >= STARTUP + 3

    def test_a_trial_of_somebody_else_is_seen(self, one):
        """As one that a user queues meanwhile."""
        driver = one.driver(3)
        (study,), added = driver.studies, []

        def add():
            if not added:
                added.append(study.study.add_trial(create_trial(state=TrialState.FAIL)))

        driver.run(add)
        assert one.places() == [0, 1, 2]
        assert [t.number for t in study.known] == [t.number for t in one.trials()]


class TestPruning:
    def test_start_up_trials_are_never_pruned(self, tmp_path):
        world = World(tmp_path, families=("dilated_cnn",), trials=STARTUP + 8, steps=40)
        world.search()
        startup = [t for t in world.trials() if TrialFacts.of(t).startup]
        assert len(startup) == STARTUP
        assert all(t.state == TrialState.COMPLETE for t in startup)
        assert count_trials(world.trials()).pruned > 0
        summary = summarise(world.study(), world.plan.specs[0], "max")
        assert summary["startup_mean"] == pytest.approx(sum(t.value for t in startup) / STARTUP)
        complete = [t for t in world.trials() if t.state == TrialState.COMPLETE]
        assert summary["best"]["value"] == max(t.value for t in complete)
        history, counts = summary["history"], summary["trials"]
        assert sorted(x["index"] for x in history) == list(range(STARTUP + 8))
        assert [x["hours"] for x in history] == sorted(x["hours"] for x in history)
        assert all(x["seconds"] > 0 and x["hours"] > 0 for x in history)
        states = [x["state"] for x in history]
        assert states.count("complete") == counts["complete"] == len(complete)
        assert states.count("pruned") + states.count("diverged") == counts["pruned"]
        values = {x["index"]: x["value"] for x in history if x["state"] == "complete"}
        assert values == {x["index"]: x["value"] for x in summary["complete"]}
        assert all(x["value"] is None for x in history if x["state"] != "complete")

    def test_a_pruned_trial_is_trained_no_further(self, tmp_path):
        world = World(tmp_path, families=("dilated_cnn",), trials=STARTUP + 8, steps=40)
        world.search()
        pruned = [t for t in world.trials() if t.state == TrialState.PRUNED]
        assert pruned
        for trial in pruned:
            assert max(trial.intermediate_values) < 8
            assert trial.value == trial.intermediate_values[max(trial.intermediate_values)]

    def test_every_value_is_reported_once(self, one):
        one.search()
        for trial in one.trials():
            assert sorted(trial.intermediate_values) == list(range(1, 9))
            assert trial.value == max(trial.intermediate_values.values())

    def test_a_diverged_trial_is_stored_as_pruned_and_the_search_goes_on(self, tmp_path):
        path = tmp_path / "space.toml"
        path.write_text(
            'family = "dilated_cnn"\n[space]\nlearning_rate = [1e-3, 1e35]\ndepth = 6\n'
            '[recipe]\noptimizer = "rmsprop"\nclip_norm = inf\nschedule = "constant"\n'
        )
        world = World(tmp_path, families=(), search_spaces=(str(path),), trials=6)
        world.search()
        count = count_trials(world.trials())
        assert count.done == 6
        assert 0 < count.diverged == count.pruned < 6
        assert TrialFacts.of(best_trial(world.trials(), "max")).learning_rate == 1e-3

    def test_a_search_in_which_everything_diverged_is_named_where_boards_are_made(self, tmp_path):
        space = tmp_path / "space.toml"
        space.write_text('family = "lstm"\n[space]\ndepth = 1\nlearning_rate = 1e38\n')
        world = World(tmp_path, families=("lstm",), search_spaces=(str(space),), trials=2)
        assert runs_folder.read(tmp_path / "runs") == ([], [])
        world.search()
        rows, [note] = runs_folder.read(tmp_path / "runs")
        assert rows == []
        assert note == (
            "pixel_digits, lstm at 5,000 parameters: no complete trial (2 pruned, 2 diverged), "
            "so it is on no board"
        )

    def test_every_sampler_and_pruner_searches(self, tmp_path):
        trials = {("qmc", "median"): 3, ("random", "none"): 2, ("tpe", "asha"): STARTUP + 1}
        for (sampler, pruner), count in trials.items():
            world = World(tmp_path / sampler, sampler=sampler, pruner=pruner, trials=count,
                          families=("dilated_cnn",), steps=2)  # fmt: skip
            world.search()
            assert count_trials(world.trials()).done == count


class TestInterruptions:
    def test_a_random_search_is_the_same_however_it_is_interrupted(self, tmp_path):
        asked = {"sampler": "random", "pruner": "none", "families": ("dilated_rnn",), "trials": 4}
        whole, pieces = World(tmp_path / "a", **asked), World(tmp_path / "b", **asked)
        whole.search()
        for trials in (1, 2, 4):
            pieces.search(trials)
        assert len(results(whole)) == 4
        assert results(whole) == results(pieces)

    def test_what_ran_when_a_driver_ended_is_asked_again_in_its_place(self, one):
        def stop():
            if count_trials(one.trials()).done == 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            one.driver(3, size=2).run(stop)
        count = count_trials(one.trials())
        assert (count.done, count.running, count.failed, count.lost) == (1, 0, 0, 0)
        left = {TrialFacts.of(t).place: t.params for t in one.trials()
                if t.state == TrialState.FAIL}  # fmt: skip
        assert left
        one.search(3)
        assert results(one).keys() == {0, 1, 2}
        for place, params in left.items():
            assert results(one)[place][0] == params

    def test_what_a_killed_driver_left_running_is_asked_again(self, one):
        study = one.study()
        trial = study.ask()
        one.driver()  # a driver that died while it drew
        one.search()
        assert study.trials[trial.number].state == TrialState.FAIL
        assert one.places() == [0, 1, 2]

    def test_a_trial_that_was_queued_twice_is_run_once(self, one):
        """As when the answer of a database is lost and the operation is made again."""
        one.search(1)
        (first,) = one.trials()
        for _ in range(2):
            one.study().enqueue_trial(first.params, user_attrs={"draw": {"place": 1}})
        one.search(3)
        count = count_trials(one.trials())
        assert (count.done, count.failed, count.waiting) == (3, 0, 0)
        assert sorted(one.places()) == [0, 1, 2]

    def test_a_study_of_the_version_before_continues(self, tmp_path):
        """Then every fact was an attribute of its own, and a failed trial was queued again."""
        asked = {"sampler": "random", "pruner": "none", "families": ("dilated_rnn",), "trials": 4}
        whole, old = World(tmp_path / "a", **asked), World(tmp_path / "b", **asked)
        whole.search()
        study = old.study()
        for state, trial in zip(("COMPLETE", "FAIL", "WAITING", "RUNNING"), whole.trials(),
                                strict=True):  # fmt: skip
            attrs = {k: v for k, v in trial.user_attrs["draw"].items() if k != "place"}
            attrs |= {"index": trial.user_attrs["draw"]["place"], "seconds": 1.0, "worker": "w"}
            attrs |= {"interrupted": True} if state == "FAIL" else {}
            waiting = {"fixed_params": trial.params} if state == "WAITING" else {}
            made = create_trial(
                state=TrialState[state], user_attrs=attrs, system_attrs=waiting,
                value=trial.value if state == "COMPLETE" else None,
                params={} if waiting else trial.params,
                distributions={} if waiting else trial.distributions,
            )  # fmt: skip
            study.add_trial(made)
        old.search()
        assert results(old) == results(whole)


class TestFailures:
    def test_a_trial_that_keeps_failing_is_replaced_by_another_draw(self, one):
        calls = []

        def fail_the_first(job):
            calls.append((job.config, job.learning_rate))
            return Instead(RuntimeError("bad luck")) if calls[-1] == calls[0] else job

        one.search(1, change=fail_the_first)
        count = count_trials(one.trials())
        assert (count.complete, count.failed) == (1, 1 + RETRIES)
        assert calls[0] == calls[1] == calls[2] != calls[3]

    def test_a_draw_that_finds_no_memory_is_replaced_at_once(self, one):
        calls = []

        def fail_the_first(job):
            calls.append((job.config, job.learning_rate))
            return Instead(MemoryError()) if calls[-1] == calls[0] else job

        one.search(1, change=fail_the_first)
        count = count_trials(one.trials())
        assert (count.complete, count.failed) == (1, 1)
        assert TrialFacts.of(one.trials()[0]).reason == "not enough memory"

    def test_an_error_of_ours_ends_the_run_at_once_and_costs_the_trial_nothing(self, one):
        def fail(job):
            return Instead(UserError("the code of its plug-in has changed"))

        with pytest.raises(JobError, match="the code of its plug-in has changed"):
            one.search(1, change=fail)
        count = count_trials(one.trials())
        assert (count.done, count.failed, count.running) == (0, 0, 0)

    def test_a_trial_whose_trainer_is_lost_runs_again_at_no_cost(self, one):
        calls = []

        def lose_the_first(job):
            calls.append((job.config, job.seed))
            return Instead(Vanish()) if len(calls) < LOSSES else job

        one.search(1, change=lose_the_first)
        count = count_trials(one.trials())
        assert (count.complete, count.failed, count.lost) == (1, 0, LOSSES - 1)
        assert all(call == calls[0] for call in calls)
        assert sum("a trainer died" in line for line in one.said) == LOSSES - 1

    def test_a_draw_that_loses_ten_trainers_is_replaced(self, one):
        calls = []

        def lose_the_first_draw(job):
            calls.append((job.config, job.learning_rate))
            return Instead(Vanish()) if calls[-1] == calls[0] else job

        one.search(1, change=lose_the_first_draw)
        assert calls.count(calls[0]) == LOSSES
        assert count_trials(one.trials()).complete == 1

    def test_trainers_that_all_die_end_the_run(self, one):
        with pytest.raises(JobError, match="50 trainers died in a row; the last: killed by"):
            one.search(change=lambda job: Instead(Vanish()))

    @pytest.mark.parametrize("complete_before", [0, 2])
    def test_five_failures_of_one_cause_in_a_row_end_the_run(self, one, complete_before):
        calls = []

        def fail(job):
            calls.append(job)
            broken = len(calls) > complete_before
            return Instead(FileNotFoundError(2, "No such file", "x.npy")) if broken else job

        with pytest.raises(JobError, match="5 trials in a row failed of one cause: FileNotFound"):
            one.search(10, change=fail)
        assert len(calls) == complete_before + 5
        count = count_trials(one.trials())
        assert (count.complete, count.failed, count.running) == (complete_before, 5, 0)
        assert sum("a trial failed (FileNotFoundError" in line for line in one.said) == 5

    def test_failures_of_many_causes_do_not(self, one):
        calls = []

        def fail_sometimes(job):
            calls.append(job)
            return Instead(RuntimeError(f"cause {len(calls)}")) if len(calls) % 3 else job

        one.search(4, change=fail_sometimes)
        assert count_trials(one.trials()).done == 4

    def test_a_trial_that_hangs_is_ended_and_runs_again(self, one, monkeypatch):
        monkeypatch.setattr(driver_module, "LEAST", -1.0)
        monkeypatch.setattr(driver_module, "TIMES", 0.0)
        one.search(1)
        driver, ended = one.driver(2), []
        end = driver.executor.end

        def end_once(ticket, why):
            if not ended:
                ended.append(why)
                end(ticket, why)

        driver.executor.end = end_once
        driver.run()
        assert ended[0].startswith("hanging: ")
        assert count_trials(one.trials()).lost == 1
        assert any("a trainer died (hanging: " in line for line in one.said)
        assert sorted(one.places()) == [0, 1]


class TestSnapshots:
    def test_a_long_trial_continues_from_its_last_evaluation(self, one, monkeypatch):
        whole = results_of_a_whole_search(one)
        monkeypatch.setattr("drnn_bench.search.trial.LONG", 0.0)
        resumed = []

        def note(job):
            resumed.append(job.resume is not None)
            return job

        def stop_in_the_second():
            trials = one.trials()
            if len(trials) == 5 and len(trials[4].intermediate_values) == 3:
                raise KeyboardInterrupt

        one.search(4, change=note)
        with pytest.raises(KeyboardInterrupt):
            one.driver(5, change=note).run(stop_in_the_second)
        (file,) = one.snapshots.folder.iterdir()
        one.search(5, change=note)
        assert resumed == [False] * 2 + [True]
        assert not file.exists()
        last = one.trials()[-1]
        assert sorted(last.intermediate_values) == list(range(1, 9))
        assert (last.params, last.value) == whole[4]

    def test_a_damaged_snapshot_counts_as_none(self, one):
        one.snapshots.write("a", b"data\nmore")
        assert one.snapshots.read("a") == b"data\nmore"
        (file,) = one.snapshots.folder.iterdir()
        file.write_bytes(file.read_bytes()[:-1])
        assert one.snapshots.read("a") is None
        one.snapshots.remove("a")
        one.snapshots.remove("a")
        assert one.snapshots.read("a") is None


def results_of_a_whole_search(one):
    """Of five trials, in a folder of its own; three of them are searched in `one` too."""
    whole = World(one.snapshots.folder.parent / "whole", families=("dilated_rnn",),
                  sampler="random", pruner="none")  # fmt: skip
    whole.search(5)
    one.search(3)
    return results(whole)


def test_the_trials_seed_is_never_a_finals_seed(world):
    from drnn_bench.jobs.finals import final_seed

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
    assert replace(spec, **change).digest != spec.digest
    assert replace(spec).digest == spec.digest


@pytest.mark.parametrize("url", ["nonsense", "foo://x", "sqlite://", "mysql://u@h/d"])
def test_an_unusable_storage_url_is_the_users_mistake(url):
    with pytest.raises(UserError, match="storage"):
        open_storage(url)


def test_a_space_file_is_read_the_same_from_the_study(world):
    spec = world.plan.specs[0]
    assert spec.make_space() == read_space(default_path(spec.family))


def test_a_trials_name_tells_its_seed_and_net(world):
    spec = world.plan.specs[0]
    job = TrialJob(spec=spec, config={"depth": 1}, learning_rate=1e-3, seed=2, device="cpu")
    assert job.name.startswith(f"{spec.digest}-trial-2-")
    others = [replace(job, seed=3), replace(job, config={"depth": 2}),
              replace(job, learning_rate=math.nextafter(1e-3, 1))]  # fmt: skip
    assert len({job.name, *(other.name for other in others)}) == 4
