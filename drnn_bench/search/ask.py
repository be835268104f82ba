"""Asking Optuna for the next trial of a study, and drawing its architecture.

`ask` writes to the storage, and may be called again when the storage was in trouble: a first call
may leave a running trial that no trainer has, and the driver fails it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
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
    certain: bool = False  # `memory` holds what the storage holds
    ended: str | None = None  # why before it had all its trials: too many draws were refused
    owed: OpenPlace | None = None  # the place of its next trial
    filled: int = 0  # places filled or being filled

    def __post_init__(self) -> None:
        self.space = self.spec.make_space()
        self.last_evaluation = len(self.space.recipe.evaluation_steps(self.spec.steps))
        sign = 1 if self.task.direction == "max" else -1
        scale = Scale(sign, self.task.margin, self.data.guessing)
        self.pruner = make_pruner(self.spec.pruner, scale, self.last_evaluation, STARTUP)
        self.study.pruner = self.pruner
        # The same trials without a database: samplers draw from them. The driver alone writes
        # them, so it knows them without reading them again, which costs as much as there are
        # trials that run.
        self.memory = self._empty()
        for trial in self.trials(TrialState.COMPLETE):
            self.note_seconds(TrialFacts.of(trial).seconds)

    @property
    def task(self) -> Task:
        return self.data.task

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    @property
    def known(self) -> list[FrozenTrial]:
        """Its trials by number, but for what running ones have reported."""
        return self.memory.get_trials(deepcopy=False)

    def _empty(self) -> optuna.Study:
        return optuna.create_study(direction=self.study.direction)

    def read(self) -> None:
        """Reads the trials: at the start, and after trouble with the storage."""
        self.memory = self._empty()
        self.memory.add_trials(self.trials())
        self.ended = self.study.user_attrs.get("ended")
        self.certain = True

    def owes(self, target: int) -> bool:
        """Whether one of so many trials is still to be drawn."""
        if not self.certain:
            self.read()
        trials = self.known
        count = count_trials(trials)
        self.filled = count.taken - count.waiting
        self.owed = None if self.ended else next_place(trials, target)
        return self.owed is not None

    def tell(
        self, trial: Trial | FrozenTrial, state: TrialState, value: float | None = None
    ) -> None:
        """Ends a trial, or does nothing where it has ended."""
        told = self.study.tell(trial.number, value, state, skip_if_finished=True)
        if self.certain:
            _end(self.memory, told)

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
    study.certain = False  # until the trial is written
    owed, spec, task = study.owed, study.spec, study.task
    assert owed is not None
    drawing, stored = _drawing(study, owed)
    # Of those that wait, Optuna gives the lowest: its place is the one that counts.
    facts = TrialFacts.of(drawing)
    place = owed.place if facts.place is None else facts.place
    others = [t for t in study.known if t.number != drawing.number and holds_place(t)]
    if any(TrialFacts.of(t).place == place for t in others):  # queued twice: an answer was lost
        study.tell(drawing, TrialState.FAIL)
        return None
    warm = owed.warm or facts.warm
    startup = not warm and place < spec.warm_start + STARTUP
    draw: dict[str, Any] = {"place": place, "startup": startup}
    if warm:
        draw["warm"] = True
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    length, spans = task.length, task.needed_spans
    try:
        drawn = study.space.draw(drawing, budget=spec.budget, length=length, spans=spans, **sizes)
    except Infeasible as refusal:
        trial = _write(study, drawing, stored, draw | {"infeasible": str(refusal)})
        _refuse(study, trial, str(refusal))
        return None
    if drawing.params and any(t.params == drawing.params for t in others):
        draw["duplicate"] = True
    trial = _write(study, drawing, stored, draw | _described(drawn, task))
    job = TrialJob(
        spec=spec,
        config=drawn.config.config,
        learning_rate=drawn.learning_rate,
        seed=trial_seed(spec, place),
        device=study.device,
    )
    return RunningTrial(study, trial, job, prunable=not (startup or warm))


def _drawing(study: DrivenStudy, owed: OpenPlace) -> tuple[Trial, bool]:
    """The trial that draws, and whether the storage has it already.

    What waits in the storage is drawn there, and so is what QMC draws, which counts its draws in
    it. Every other trial draws in memory and is then written as a whole: a write for each option,
    and a sampler that reads all trials at each, would be most of a driver's time.
    """
    sampler = make_sampler(study.spec, owed.place, owed.attempt)
    study.study.sampler = study.memory.sampler = sampler
    waits = any(t.state == TrialState.WAITING for t in study.known)
    if waits or (isinstance(sampler, optuna.samplers.QMCSampler) and owed.params is None):
        return study.study.ask(), True
    if owed.params is not None:
        study.memory.enqueue_trial(owed.params)
    return study.memory.ask(), False


def _write(study: DrivenStudy, drawing: Trial, stored: bool, draw: dict[str, Any]) -> Trial:
    """Writes what was drawn. The trial as the storage has it."""
    drawing.set_user_attr("draw", draw)
    trial = drawing
    if not stored:
        storage, study_id = study.study._storage, study.study._study_id
        running = optuna.trial.create_trial(
            state=TrialState.RUNNING, params=drawing.params, distributions=drawing.distributions,
            user_attrs={"draw": draw},
        )  # fmt: skip
        trial = Trial(study.study, storage.create_new_trial(study_id, template_trial=running))
    study.certain = not stored and trial.number == drawing.number  # else somebody else wrote one
    if not study.certain:
        study.read()
    return trial


def _end(memory: optuna.Study, told: FrozenTrial) -> None:
    """Ends a trial in memory as it ended in the storage."""
    storage = memory._storage
    trial = storage.get_trial_id_from_study_id_trial_number(memory._study_id, told.number)
    with contextlib.suppress(UpdateFinishedTrialError):
        for name, value in told.user_attrs.items():
            storage.set_trial_user_attr(trial, name, value)
        for step, value in told.intermediate_values.items():
            storage.set_trial_intermediate_value(trial, step, value)
        storage.set_trial_state_values(trial, told.state, told.values)


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
    last = study.known[-REFUSALS:]
    if len(last) == REFUSALS and all(TrialFacts.of(t).infeasible is not None for t in last):
        study.ended = f"{REFUSALS} infeasible draws in a row: {why}"
        study.study.set_user_attr("ended", study.ended)
