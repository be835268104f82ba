"""Studies and trials: what identifies a search, how its trials are counted, drawn and run.

One study searches one family at one budget. Its truth is the Optuna storage and only that: any
number of workers, on any machines, call `work` on it and stop when it has its trials.

A trial has an index, its place in the search (0, 1, ...), which decides its random draws and its
training seed. Complete and pruned trials fill their places; diverged ones are stored as pruned. A
failed trial frees its place. An infeasible draw never takes one: it is stored as pruned with the
attribute `infeasible`, because told as failed it would teach the sampler nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnn_bench.budget import Infeasible, count_parameters
from drnn_bench.errors import JobError
from drnn_bench.mrl import mean_recurrent_length
from drnn_bench.recipe import Recipe
from drnn_bench.search_space import Drawn, SearchSpace, make_space
from drnn_bench.storage import TrialLock, failed_for_good, requeue
from drnn_bench.tasks import parse_task
from drnn_bench.tasks.cache import Prepared

SAMPLERS = ("tpe", "random", "qmc")
PRUNERS = ("asha", "median", "none")
STARTUP = 6  # random trials at the start of every study, never pruned
REFUSALS = 50  # so many infeasible draws in a row end a study
FAILURES = 5  # so many trials failed for good, and none complete, end the job
PROTOCOL = 1  # raised when the meaning of a search changes


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """Everything that could change a search's result. `--trials` is not in it: it only extends."""

    task: str  # with every option
    task_version: int
    data_hash: str
    family: str
    budget: int
    steps: int
    recipe: dict[str, Any]
    sampler: str
    pruner: str
    space: dict[str, Any]  # the search-space file's [space]
    seed: int
    protocol: int = PROTOCOL

    @property
    def identity(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        return f"{self.task}/{self.family}/{self.budget}/{self.identity}"

    def make_space(self) -> SearchSpace:
        recipe = {k: float(v) if v == "inf" else v for k, v in self.recipe.items()}
        return make_space({"family": self.family, "space": self.space, "recipe": recipe})


def seed_for(*parts: Any) -> int:
    """A seed below 2^31 that depends on all the parts and on nothing else."""
    text = json.dumps(parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


@dataclass(frozen=True)
class Tally:
    """How far a study is. `pruned` counts the diverged among them, `done` is complete + pruned."""

    complete: int = 0
    pruned: int = 0
    diverged: int = 0
    failed: int = 0
    infeasible: int = 0
    duplicate: int = 0
    running: int = 0
    waiting: int = 0

    @property
    def done(self) -> int:
        return self.complete + self.pruned

    @property
    def taken(self) -> int:
        """Places of the search that are filled or being filled."""
        return self.done + self.running + self.waiting

    @property
    def counts(self) -> dict[str, int]:
        names = ("complete", "pruned", "diverged", "failed", "infeasible", "duplicate")
        return {name: getattr(self, name) for name in names}


def tally(trials: list[FrozenTrial]) -> Tally:
    infeasible = sum("infeasible" in t.user_attrs for t in trials)
    real = [t for t in trials if "infeasible" not in t.user_attrs]
    states = [t.state for t in real]
    pruned = [t for t in real if t.state == TrialState.PRUNED]
    finished = (TrialState.COMPLETE, TrialState.PRUNED)
    return Tally(
        complete=states.count(TrialState.COMPLETE),
        pruned=len(pruned),
        diverged=sum("diverged" in t.user_attrs for t in pruned),
        failed=sum(t.state == TrialState.FAIL and "interrupted" not in t.user_attrs for t in real),
        infeasible=infeasible,
        duplicate=sum("duplicate" in t.user_attrs for t in real if t.state in finished),
        running=states.count(TrialState.RUNNING),
        waiting=states.count(TrialState.WAITING),
    )


def best_trial(trials: list[FrozenTrial], direction: str) -> FrozenTrial | None:
    """The complete trial of the best value, the earliest of equals."""
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    sign = -1 if direction == "max" else 1
    return min(complete, key=lambda t: (sign * t.value, t.user_attrs["index"]), default=None)


def open_study(storage: optuna.storages.RDBStorage, spec: StudySpec) -> optuna.Study:
    """The study of this identity, made if it is not there yet."""
    direction = "maximize" if parse_task(spec.task).direction == "max" else "minimize"
    study = optuna.create_study(
        storage=storage, study_name=spec.name, direction=direction, load_if_exists=True
    )
    if "spec" not in study.user_attrs:
        study.set_user_attr("spec", asdict(spec))
    return study


def release(
    study: optuna.Study, lock: TrialLock, *, worker: str | None = None, reason: str | None = None
) -> int:
    """Fails the running trials (of one worker, or all) and queues their parameters again.

    `reason`: what killed them; None where they were interrupted, which costs them no retry.
    """
    released = 0
    with lock.hold():
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if worker is not None and trial.user_attrs.get("worker") != worker:
                continue
            note = ("interrupted", True) if reason is None else ("reason", reason)
            study._storage.set_trial_user_attr(trial._trial_id, *note)
            failed = study.tell(trial.number, state=TrialState.FAIL)
            requeue(study, failed, interrupted=reason is None)
            released += 1
    return released


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
        self.studies = [(spec, open_study(storage, spec), spec.make_space()) for spec in specs]

    def work(self, on_trial: Callable[[], None] = lambda: None) -> None:
        """Runs trials until every study has its number, waiting for those that others still run."""
        while True:
            with contextlib.ExitStack() as counting:
                counting.enter_context(self.lock.hold())
                turn = self._next_turn()
                if isinstance(turn, Turn):
                    self._take(turn, counting.close)
                    on_trial()
            if turn == "done":
                return
            if turn == "wait":
                time.sleep(0.5)
                with self.lock.hold():
                    for _, study, _ in self.studies:
                        optuna.storages.fail_stale_trials(study)

    def _take(self, turn: Turn, counted: Callable[[], None]) -> None:
        """Makes and runs one trial; `counted` lets others count once it exists."""
        turn.study.sampler = _sampler(turn.spec, turn.index, turn.attempt)
        turn.study.pruner = _pruner(turn.spec)

        def objective(trial: optuna.Trial) -> float:
            try:
                drawn = self._draw(trial, turn)
            finally:
                counted()
            return self._run(trial, turn.spec, drawn)

        turn.study.optimize(objective, n_trials=1, catch=(Exception,))
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
                taken = {t.user_attrs.get("index") for t in trials if _holds_place(t)}
                free = next(i for i in range(len(trials) + 1) if i not in taken)
                index = waiting[0].user_attrs["index"] if waiting else free
                attempt = sum(_used_up(t) for t in trials if t.user_attrs.get("index") == index)
                far = (count.taken - count.waiting, order)
                turns.append((far, Turn(spec, study, space, index, attempt)))
        if turns:
            return min(turns, key=lambda turn: turn[0])[1]
        return "wait" if running else "done"

    def _draw(self, trial: optuna.Trial, turn: Turn) -> Drawn:
        index, study, task = turn.index, turn.study, self.task
        trial.set_user_attr("worker", self.worker)
        trial.set_user_attr("index", index)
        trial.set_user_attr("startup", index < STARTUP)
        sizes = {"input_size": task.input_size, "output_size": task.output_size}
        try:
            drawn = turn.space.draw(trial, budget=turn.spec.budget, length=task.length, **sizes)
        except Infeasible as refusal:
            trial.set_user_attr("infeasible", str(refusal))
            last = study.get_trials(deepcopy=False)[-REFUSALS:]
            if len(last) == REFUSALS and all("infeasible" in t.user_attrs for t in last):
                study.set_user_attr("ended", f"{REFUSALS} infeasible draws in a row: {refusal}")
            raise optuna.TrialPruned from None
        others = [
            t.params
            for t in study.get_trials(deepcopy=False)
            if t.user_attrs.get("index") != index and _holds_place(t)
        ]
        if trial.params and trial.params in others:
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

        def report(evaluation: int, metric: float) -> None:
            trial.report(metric, evaluation)
            # should_prune also takes note of the value, so it is asked for start-up trials too.
            if evaluation < last and trial.should_prune() and not trial.user_attrs["startup"]:
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
        except Exception as error:
            trial.set_user_attr("reason", f"{type(error).__name__}: {error}")
            raise
        finally:
            trial.set_user_attr("seconds", time.perf_counter() - started)
        return trained.validation

    def _after(self, study: optuna.Study) -> None:
        """A trial that failed is queued again, at most twice; too many failures end the job."""
        trials = study.get_trials(deepcopy=False)
        last = next(t for t in reversed(trials) if t.user_attrs.get("worker") == self.worker)
        if last.state != TrialState.FAIL:
            return
        with self.lock.hold():
            requeue(study, last, interrupted=False)
        count = tally(trials)
        if count.failed >= FAILURES and not count.done:
            raise JobError(
                f"{study.study_name}: {count.failed} trials failed and none got through; "
                f"the last: {last.user_attrs.get('reason')}"
            )


def _holds_place(trial: FrozenTrial) -> bool:
    return trial.state != TrialState.FAIL and "infeasible" not in trial.user_attrs


def _used_up(trial: FrozenTrial) -> bool:
    """Whether a draw is spent: refused, or failed for good. (One that was cut short is drawn
    again as it was.)"""
    return "infeasible" in trial.user_attrs or failed_for_good(trial)


def _sampler(spec: StudySpec, index: int, attempt: int) -> optuna.samplers.BaseSampler:
    """A fresh sampler for every draw, seeded by its place: what is drawn depends on the search so
    far (tpe) or on nothing (random), never on which worker draws it."""
    seed = seed_for(spec.seed, spec.family, "draw", index, attempt)
    if spec.sampler == "qmc":
        return optuna.samplers.QMCSampler(
            scramble=True,
            seed=seed_for(spec.seed, spec.family, "sequence"),
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        )
    if spec.sampler == "random" or index < STARTUP:
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(
        n_startup_trials=0,
        multivariate=True,
        group=True,  # options that exist only under a condition
        constant_liar=True,  # do not draw next to what other workers are running
        warn_independent_sampling=False,
        seed=seed,
    )


def _pruner(spec: StudySpec) -> optuna.pruners.BasePruner:
    quarter = max(1, spec.recipe["evaluations"] // 4)
    if spec.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=quarter, reduction_factor=2)
    if spec.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=quarter - 1)
    return optuna.pruners.NopPruner()


def summarise(study: optuna.Study, spec: StudySpec, direction: str) -> dict[str, Any]:
    """A study as its row tells it. `best` is None where no trial is complete."""
    trials = study.get_trials(deepcopy=False)
    best = best_trial(trials, direction)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    startup = [t.value for t in complete if t.user_attrs["startup"]]
    space = spec.make_space()
    return {
        "trials": tally(trials).counts,
        "best": best
        and {
            "index": best.user_attrs["index"],
            "value": best.value,
            "config": best.user_attrs["config"],
            "learning_rate": best.user_attrs["learning_rate"],
            "on_edge": space.edges(best.params),
        },
        "startup_mean": sum(startup) / len(startup) if startup else None,
        "startup_n": len(startup),
        "search_seconds": round(sum(t.user_attrs.get("seconds", 0.0) for t in trials), 1),
        "complete": [
            {
                "index": t.user_attrs["index"],
                "value": t.value,
                "mrl": t.user_attrs["mrl"],
                "config": t.user_attrs["config"],
                "learning_rate": t.user_attrs["learning_rate"],
            }
            for t in sorted(complete, key=lambda t: t.user_attrs["index"])
        ],
        "ended": study.user_attrs.get("ended"),
    }
