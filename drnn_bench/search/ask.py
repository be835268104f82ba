"""Asking Optuna for the next trial of a study, and drawing its architecture.

`ask` writes to the storage, and may be called again when the storage was in trouble: a first call
may leave a running trial that no trainer has, and the driver fails it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from drnn_bench.models.budget import Infeasible, count_parameters
from drnn_bench.models.mrl import mean_recurrent_length
from drnn_bench.results.codec import to_json
from drnn_bench.search.places import OpenPlace, next_place
from drnn_bench.search.pruning import Scale, make_pruner
from drnn_bench.search.samplers import make_sampler
from drnn_bench.search.space import Drawn
from drnn_bench.search.study import STARTUP, StudySpec
from drnn_bench.search.trial import TrialJob, trial_seed
from drnn_bench.search.trial_facts import TrialFacts, count_trials, holds_place
from drnn_bench.tasks.prepared import TaskFacts
from drnn_bench.tasks.task import Task

REFUSALS = 50  # infeasible draws one after the other; then the study ends


@dataclass
class DrivenStudy:
    """A study, with what its driver computes from its trials."""

    spec: StudySpec
    study: optuna.Study
    data: TaskFacts
    device: str
    longest: float | None = None  # seconds of training of its longest trial; before one, expected
    # Its trials by number. The driver alone writes them, so it knows them without reading them
    # again, which costs as much as there are trials that run.
    known: dict[int, FrozenTrial] = field(default_factory=dict)
    certain: bool = False  # `known` is what the storage holds
    ended: bool = False  # too many draws in a row were refused
    owed: OpenPlace | None = None  # the place of its next trial
    filled: int = 0  # places filled or being filled

    def __post_init__(self) -> None:
        self.space = self.spec.make_space()
        self.last_evaluation = len(self.space.recipe.evaluation_steps(self.spec.steps))
        sign = 1 if self.task.direction == "max" else -1
        scale = Scale(sign, self.task.margin, self.data.guessing)
        self.pruner = make_pruner(self.spec.pruner, scale, self.last_evaluation, STARTUP)
        self.study.pruner = self.pruner
        for trial in self.trials(TrialState.COMPLETE):
            self.note_seconds(TrialFacts.of(trial).seconds)

    @property
    def task(self) -> Task:
        return self.data.task

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def read(self) -> None:
        """Reads the trials: at the start, and after trouble with the storage."""
        self.known = {trial.number: trial for trial in self.trials()}
        self.ended = "ended" in self.study.user_attrs
        self.certain = True

    def owes(self, target: int) -> bool:
        """Whether one of so many trials is still to be drawn."""
        if not self.certain:
            self.read()
        trials = list(self.known.values())
        count = count_trials(trials)
        self.filled = count.taken - count.waiting
        self.owed = None if self.ended else next_place(trials, target)
        return self.owed is not None

    def tell(
        self, trial: Trial | FrozenTrial, state: TrialState, value: float | None = None
    ) -> None:
        """Ends a trial, or does nothing where it has ended."""
        told = self.study.tell(trial.number, value, state, skip_if_finished=True)
        self.known[told.number] = told

    def note_seconds(self, seconds: float) -> None:
        self.longest = max(self.longest or 0.0, seconds)


@dataclass
class RunningTrial:
    """A trial that was drawn, and the job that trains it."""

    study: DrivenStudy
    trial: Trial
    job: TrialJob
    prunable: bool
    waited: float = 0.0  # seconds since it was started
    trained: float = 0.0  # seconds of training up to its last evaluation


def ask(study: DrivenStudy) -> RunningTrial | None:
    """Draws the next trial that a study owes; None where its draw was refused."""
    if not study.certain:  # an answer of the storage was lost, and this is called again
        study.read()
    study.certain = False  # until the trial is known
    owed, spec, task = study.owed, study.spec, study.task
    assert owed is not None
    sampler = study.study.sampler = make_sampler(spec, owed.place, owed.attempt)
    if not any(t.state == TrialState.WAITING for t in study.known.values()):
        _queue(study, owed, sampler)
    trial = study.study.ask()
    # Optuna gives the lowest trial that waits: its place is the one that counts.
    facts = TrialFacts.of(trial)
    place = owed.place if facts.place is None else facts.place
    others = [t for t in study.known.values() if t.number != trial.number and holds_place(t)]
    if any(TrialFacts.of(t).place == place for t in others):  # queued twice: an answer was lost
        study.tell(trial, TrialState.FAIL)
        study.certain = True
        return None
    startup = not facts.warm and place < spec.warm_start + STARTUP
    draw: dict[str, Any] = {"place": place, "startup": startup}
    if facts.warm:
        draw["warm"] = True
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    length, spans = task.length, task.needed_spans
    try:
        drawn = study.space.draw(trial, budget=spec.budget, length=length, spans=spans, **sizes)
    except Infeasible as refusal:
        trial.set_user_attr("draw", draw | {"infeasible": str(refusal)})
        _refuse(study, trial, str(refusal))
        study.certain = True
        return None
    if trial.params and any(t.params == trial.params for t in others):
        draw["duplicate"] = True
    trial.set_user_attr("draw", draw | _described(drawn, task))
    study.known[trial.number] = _running(trial)
    study.certain = True
    job = TrialJob(
        spec=spec,
        config=drawn.config.config,
        learning_rate=drawn.learning_rate,
        seed=trial_seed(spec, place),
        device=study.device,
    )
    return RunningTrial(study, trial, job, prunable=not (startup or facts.warm))


def _queue(study: DrivenStudy, owed: OpenPlace, sampler: optuna.samplers.BaseSampler) -> None:
    """Queues what the next trial draws. A sampler that asks the storage for all trials at every
    option costs most of a driver's time, so it samples in memory, from the trials just read."""
    params = owed.params
    if params is None and isinstance(sampler, optuna.samplers.QMCSampler):
        return  # it counts its draws in the storage: it draws when the trial is asked
    if params is None:
        memory = optuna.create_study(direction=study.study.direction, sampler=sampler)
        memory.add_trials(study.known.values())
        trial = memory.ask()
        with contextlib.suppress(Infeasible):  # what was drawn before that is refused again
            study.space.options(trial, study.task.length)
        params = trial.params
    draw = {"place": owed.place} | ({"warm": True} if owed.warm else {})
    study.study.enqueue_trial(params, user_attrs={"draw": draw})


def _running(trial: Trial) -> FrozenTrial:
    """A trial that runs, as the storage holds it but for what it will report."""
    frozen = optuna.trial.create_trial(
        state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions,
        user_attrs=trial.user_attrs,
    )  # fmt: skip
    frozen.number = trial.number
    return frozen


def _described(drawn: Drawn, task: Task) -> dict[str, Any]:
    return {
        "architecture": drawn.config.words,
        "learning_rate": drawn.learning_rate,
        "width": min(drawn.config.widths),
        "parameters": count_parameters(drawn.config),
        "mrl": to_json(mean_recurrent_length(drawn.config, task.length - 1)),
        "config": drawn.config.config,
    }


def _refuse(study: DrivenStudy, trial: Trial, why: str) -> None:
    """Stores an infeasible draw as pruned: told as failed it would teach the sampler nothing."""
    study.tell(trial, TrialState.PRUNED)
    last = [study.known[number] for number in sorted(study.known)][-REFUSALS:]
    if len(last) == REFUSALS and all(TrialFacts.of(t).infeasible is not None for t in last):
        study.ended = True
        study.study.set_user_attr("ended", f"{REFUSALS} infeasible draws in a row: {why}")
