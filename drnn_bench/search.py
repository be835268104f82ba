"""Searching: any number of workers, on any machines, take turns at the trials of some studies.

Whoever wants a trial counts and makes it under one lock, so that there is never one too many.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from drnn_bench.budget import Infeasible, count_parameters
from drnn_bench.database import TrialLock
from drnn_bench.errors import JobError, out_of_memory
from drnn_bench.mrl import mean_recurrent_length
from drnn_bench.search_space import Drawn, SearchSpace
from drnn_bench.storage import GRACE, beats, failed_for_good, requeue
from drnn_bench.studies import (
    STARTUP,
    StudySpec,
    holds_place,
    make_pruner,
    make_sampler,
    open_study,
    seed_for,
    tally,
)
from drnn_bench.tasks.cache import Prepared
from drnn_bench.warm_start import enqueue

REFUSALS = 50  # so many infeasible draws in a row end a study
FAILURES = 5  # so many trials failed, and none got through, end the job


class TrialFailed(Exception):
    """A training run raised. (An error in the drawing is ours, and ends the worker.)"""


class PlaceTaken(Exception):
    """Somebody else has this place of the search, or may have: the database went away, and the
    lock with it, while the trial was made; or an answer was lost and a trial was queued twice."""


@dataclass(frozen=True)
class Turn:
    """The next trial: its study, its place there, and how many draws that place has used up."""

    spec: StudySpec
    study: optuna.Study
    space: SearchSpace
    index: int
    attempt: int


class Search:
    """One worker's hand in some studies of one task."""

    def __init__(
        self,
        storage: optuna.storages.RDBStorage,
        lock: TrialLock,
        specs: list[StudySpec],
        trials: int,
        prepared: Prepared,
        device: str,
        worker: str,
    ):
        self.lock, self.trials, self.device, self.worker = lock, trials, device, worker
        self.task = prepared.task
        self.arrays = prepared.arrays()
        self._unborn: dict[int, float] = {}  # see `bury_the_dead`
        self.studies = [
            (spec, open_study(storage, spec, self.task), spec.make_space()) for spec in specs
        ]
        for spec, study, _ in self.studies:
            enqueue(study, spec, self.task, lock)

    def work(self, on_trial: Callable[[], None] = lambda: None) -> None:
        """Runs trials until every study has its number, waiting for those that others still run."""
        while True:
            with contextlib.ExitStack() as counting:
                held = counting.enter_context(self.lock.hold())
                turn = self._next_turn()
                if isinstance(turn, Turn):
                    self._take(turn, held, counting.close)
                    on_trial()
            if turn == "done":
                return
            if turn == "wait":
                time.sleep(0.5)
                with self.lock.hold():
                    for _, study, _ in self.studies:
                        bury_the_dead(study, self._unborn)

    def _take(self, turn: Turn, held: Callable[[], bool], counted: Callable[[], None]) -> None:
        """Makes and runs one trial; `counted` lets others count once it exists."""
        turn.study.sampler = make_sampler(turn.spec, turn.index, turn.attempt)
        turn.study.pruner = make_pruner(turn.spec)
        ours: Exception | None = None

        def objective(trial: optuna.Trial) -> float:
            nonlocal ours
            try:
                try:
                    drawn = self._draw(trial, turn)
                    if not held():
                        trial.set_user_attr("interrupted", True)
                        raise PlaceTaken
                finally:
                    counted()
                return self._run(trial, turn.spec, drawn)
            except Exception as error:
                ours = error
                raise

        try:
            turn.study.optimize(objective, n_trials=1, catch=(TrialFailed, PlaceTaken))
        except (ValueError, UpdateFinishedTrialError) as error:  # so Optuna says that it has ended
            # Others took this worker for dead, and run the trial again.
            if error is ours:
                raise
            return
        self._after(turn.study)

    def _next_turn(self) -> Turn | str:
        """Under the lock: the study that is least far, and the place of its next trial."""
        turns, running = [], False
        for order, (spec, study, space) in enumerate(self.studies):
            trials = study.get_trials(deepcopy=False)
            count = tally(trials)
            running |= count.running > 0
            if "ended" in study.user_attrs:
                continue
            if count.waiting or count.taken < self.trials:
                waiting = [t for t in trials if t.state == TrialState.WAITING]
                taken = {t.user_attrs.get("index") for t in trials if holds_place(t)}
                free = next(i for i in range(len(trials) + 1) if i not in taken)
                index = waiting[0].user_attrs["index"] if waiting else free
                attempt = sum(_used_up(t) for t in trials if t.user_attrs.get("index") == index)
                far = (count.taken - count.waiting, order)
                turns.append((far, Turn(spec, study, space, index, attempt)))
        if turns:
            return min(turns, key=lambda turn: turn[0])[1]
        return "wait" if running else "done"

    def _draw(self, trial: optuna.Trial, turn: Turn) -> Drawn:
        study, task = turn.study, self.task
        # Optuna reaps the dead once more before it makes a trial: this may be one of theirs, just
        # queued again, and not the one of this turn.
        index = trial.user_attrs.get("index", turn.index)
        trial.set_user_attr("worker", self.worker)
        trial.set_user_attr("index", index)
        trials = study.get_trials(deepcopy=False)
        others = [t for t in trials if t.number != trial.number and holds_place(t)]
        if any(t.user_attrs.get("index") == index for t in others):
            trial.set_user_attr("interrupted", True)
            raise PlaceTaken
        early = index < turn.spec.warm_start + STARTUP
        trial.set_user_attr("startup", early and "warm" not in trial.user_attrs)
        sizes = {"input_size": task.input_size, "output_size": task.output_size}
        try:
            drawn = turn.space.draw(trial, budget=turn.spec.budget, length=task.length, **sizes)
        except Infeasible as refusal:
            trial.set_user_attr("infeasible", str(refusal))
            last = study.get_trials(deepcopy=False)[-REFUSALS:]
            if len(last) == REFUSALS and all("infeasible" in t.user_attrs for t in last):
                study.set_user_attr("ended", f"{REFUSALS} infeasible draws in a row: {refusal}")
            raise optuna.TrialPruned from None
        if trial.params and any(t.params == trial.params for t in others):
            trial.set_user_attr("duplicate", True)
        mrl = mean_recurrent_length(drawn.config, task.length - 1)
        for name, value in {
            "architecture": drawn.config.words,
            "learning_rate": drawn.learning_rate,
            "width": min(drawn.config.widths),
            "parameters": count_parameters(drawn.config),
            "mrl": mrl if mrl != float("inf") else "inf",
            "config": drawn.config.config,  # the last: a trial that has it is wholly drawn
        }.items():
            trial.set_user_attr(name, value)
        return drawn

    def _run(self, trial: optuna.Trial, spec: StudySpec, drawn: Drawn) -> float:
        from drnn_bench.training import Diverged, train

        recipe = spec.make_space().recipe
        last = len(recipe.evaluation_steps(spec.steps))
        spared = trial.user_attrs["startup"] or "warm" in trial.user_attrs

        def report(evaluation: int, metric: float) -> None:
            trial.report(metric, evaluation)
            # should_prune also takes note of the value, so it is asked for all trials.
            if evaluation < last and trial.should_prune() and not spared:
                raise optuna.TrialPruned

        started = time.perf_counter()
        try:
            trained = train(
                drawn.config,
                self.task,
                self.arrays,
                recipe,
                learning_rate=drawn.learning_rate,
                steps=spec.steps,
                seed=seed_for(spec.seed, "trial", trial.user_attrs["index"]),
                device=self.device,
                report=report,
            )
        except Diverged as error:
            trial.set_user_attr("diverged", str(error))
            raise optuna.TrialPruned from None
        except (optuna.TrialPruned, UpdateFinishedTrialError, StorageInternalError):
            raise
        except Exception as error:
            reason = out_of_memory(error) or f"{type(error).__name__}: {error}"
            trial.set_user_attr("reason", reason)
            raise TrialFailed from error
        finally:
            trial.set_user_attr("seconds", time.perf_counter() - started)
        return trained.validation

    def _after(self, study: optuna.Study) -> None:
        """A trial that failed is queued again, at most twice; too many failures end the job."""
        trials = study.get_trials(deepcopy=False)
        last = next(t for t in reversed(trials) if t.user_attrs.get("worker") == self.worker)
        if last.state != TrialState.FAIL or "interrupted" in last.user_attrs:
            return
        with self.lock.hold():
            requeue(study, last, interrupted=False)
        count = tally(trials)
        if count.failed >= FAILURES and not count.done:
            raise JobError(
                f"{study.study_name}: {count.failed} trials failed and none got through; "
                f"the last: {last.user_attrs.get('reason')}"
            )


def _used_up(trial: FrozenTrial) -> bool:
    """Whether a draw is spent: refused, or failed for good. (One that was cut short is drawn
    again as it was.)"""
    return "infeasible" in trial.user_attrs or failed_for_good(trial)


def bury_the_dead(study: optuna.Study, unborn: dict[int, float]) -> None:
    """Fails the running trials of workers that no longer beat and queues them again. Call under
    the lock.

    A worker that died between making a trial and its first beat leaves one that Optuna would never
    reap: without a name where it still held the lock, else it shows by not beating for as long as
    the others may. `unborn` keeps when such a trial was first met: by this process's own clock,
    since those of several machines may differ.
    """
    optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        met = unborn.setdefault(trial._trial_id, time.monotonic())
        late = time.monotonic() - met > GRACE and not beats(study, trial)
        if late or "worker" not in trial.user_attrs:
            with contextlib.suppress(UpdateFinishedTrialError, ValueError):
                study._storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
                requeue(study, study.tell(trial.number, state=TrialState.FAIL), interrupted=True)


def release(
    study: optuna.Study,
    lock: TrialLock,
    *,
    workers: Collection[str] | None = None,
    reason: str | None = None,
) -> int:
    """Fails the running trials (of these workers, or all) and queues their parameters again.

    `reason`: what killed them; None where they were interrupted, which costs them no retry.
    """
    released = 0
    with lock.hold():
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # One without a name was cut short while it was made: its maker held this lock.
            name = trial.user_attrs.get("worker")
            if workers is not None and name is not None and name not in workers:
                continue
            note = ("interrupted", True) if reason is None else ("reason", reason)
            try:
                study._storage.set_trial_user_attr(trial._trial_id, *note)
                failed = study.tell(trial.number, state=TrialState.FAIL)
            except (UpdateFinishedTrialError, ValueError):  # it has ended since, or was reaped
                continue
            requeue(study, failed, interrupted=reason is None)
            released += 1
    return released
