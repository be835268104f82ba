"""Asking Optuna for the next trial of a study, and drawing its architecture.

Every function here writes to the storage, and may be called again where the storage was in trouble:
what an earlier call left behind is a running trial that nobody runs, which the driver fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnn_bench.models.budget import Infeasible, count_parameters
from drnn_bench.models.mrl import mean_recurrent_length
from drnn_bench.results.codec import to_json
from drnn_bench.search.places import OpenPlace, next_place
from drnn_bench.search.pruning import Scale, make_pruner
from drnn_bench.search.samplers import make_sampler
from drnn_bench.search.space import Drawn
from drnn_bench.search.study import STARTUP, StudySpec
from drnn_bench.search.trial import TrialJob
from drnn_bench.search.trial_facts import TrialFacts, count_trials, holds_place
from drnn_bench.tasks.prepared import TaskFacts
from drnn_bench.tasks.task import Task

REFUSALS = 50  # so many infeasible draws in a row end a study


@dataclass
class DrivenStudy:
    """A study and what its driver knows of it."""

    spec: StudySpec
    study: optuna.Study
    data: TaskFacts
    device: str
    longest: float | None = None  # seconds of training of its longest trial; before one, expected
    changed: bool = True  # since `look`
    owed: OpenPlace | None = None  # the place of its next trial
    far: int = 0  # places filled or being filled
    last_evaluation: int = field(init=False)

    def __post_init__(self) -> None:
        self.space = self.spec.make_space()
        self.last_evaluation = len(self.space.recipe.evaluation_steps(self.spec.steps))
        sign = 1 if self.task.direction == "max" else -1
        scale = Scale(sign, self.task.margin, self.data.guessing)
        self.study.pruner = make_pruner(self.spec.pruner, scale, self.last_evaluation, STARTUP)
        for trial in self.trials(TrialState.COMPLETE):
            self.took(TrialFacts.of(trial).seconds)

    @property
    def task(self) -> Task:
        return self.data.task

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def look(self, wanted: int) -> None:
        """Finds what the study owes, where it may have changed."""
        if not self.changed:
            return
        trials, self.changed = self.trials(), False
        count = count_trials(trials)
        self.far = count.taken - count.waiting
        ended = "ended" in self.study.user_attrs
        self.owed = None if ended else next_place(trials, wanted)

    def took(self, seconds: float) -> None:
        self.longest = max(self.longest or 0.0, seconds)


@dataclass
class Asked:
    """A trial that was drawn, and the job that trains it."""

    study: DrivenStudy
    trial: optuna.Trial
    job: TrialJob
    spared: bool  # never pruned
    waited: float = 0.0  # seconds since it was started
    trained: float = 0.0  # seconds of training up to its last evaluation


def ask(study: DrivenStudy) -> Asked | None:
    """The next trial that a study owes; None where its draw was refused."""
    study.changed = True
    owed, spec = study.owed, study.spec
    if owed.again is not None:
        draw = {"place": owed.place} | ({"warm": True} if owed.warm else {})
        study.study.enqueue_trial(owed.again, user_attrs={"draw": draw})
    study.study.sampler = make_sampler(spec, owed.place, owed.attempt)
    trial = study.study.ask()
    # Optuna gives the lowest trial that waits: its place is the one that counts.
    facts = TrialFacts.of(trial)
    place = owed.place if facts.place is None else facts.place
    others = [t for t in study.trials() if t.number != trial.number and holds_place(t)]
    if any(TrialFacts.of(t).place == place for t in others):  # queued twice: an answer was lost
        study.study.tell(trial, state=TrialState.FAIL)
        return None
    startup = not facts.warm and place < spec.warm_start + STARTUP
    draw = {"place": place, "startup": startup} | ({"warm": True} if facts.warm else {})
    sizes = {"input_size": study.task.input_size, "output_size": study.task.output_size}
    try:
        drawn = study.space.draw(trial, budget=spec.budget, length=study.task.length, **sizes)
    except Infeasible as refusal:
        trial.set_user_attr("draw", draw | {"infeasible": str(refusal)})
        _refuse(study, trial, str(refusal))
        return None
    if trial.params and any(t.params == trial.params for t in others):
        draw["duplicate"] = True
    trial.set_user_attr("draw", draw | _described(drawn, study.task))
    job = TrialJob(
        spec=spec,
        config=drawn.config.config,
        learning_rate=drawn.learning_rate,
        place=place,
        device=study.device,
    )
    return Asked(study, trial, job, spared=startup or facts.warm)


def _described(drawn: Drawn, task: Task) -> dict[str, Any]:
    mrl = mean_recurrent_length(drawn.config, task.length - 1)
    return {
        "architecture": drawn.config.words,
        "learning_rate": drawn.learning_rate,
        "width": min(drawn.config.widths),
        "parameters": count_parameters(drawn.config),
        "mrl": to_json(mrl),
        "config": drawn.config.config,
    }


def _refuse(study: DrivenStudy, trial: optuna.Trial, why: str) -> None:
    """Stored as pruned: told as failed it would teach the sampler nothing."""
    study.study.tell(trial, state=TrialState.PRUNED)
    last = study.trials()[-REFUSALS:]
    if len(last) == REFUSALS and all(TrialFacts.of(t).infeasible is not None for t in last):
        study.study.set_user_attr("ended", f"{REFUSALS} infeasible draws in a row: {why}")
