"""Studies: what identifies a search, what its trials are, and what it sums up to.

One study searches one family at one budget. Its truth is the Optuna storage and only that.

A trial has a place in the search (0, 1, ...), which decides its random draws and its training
seed. A complete or pruned trial fills its place. A diverged one is stored as pruned. A trial that
failed, or whose trainer was lost, leaves its place open (see `places`). An infeasible draw never
fills a place: it is stored as pruned with the attribute `infeasible`, because told as failed it
would teach the sampler nothing. With a warm start of N the places 0..N-1 are an expert's (see
`warm_start`), and the random ones follow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnn_bench import __version__, plugin_code, rows
from drnn_bench.errors import JobError
from drnn_bench.search.storage import reading
from drnn_bench.search_space import SearchSpace, make_space
from drnn_bench.tasks.task import Task

optuna.logging.set_verbosity(optuna.logging.ERROR)

SAMPLERS = ("tpe", "random", "qmc")
PRUNERS = ("asha", "median", "none")
STARTUP = 6  # random trials at the start of every study (or after its warm start), never pruned
PROTOCOL = 1  # raised when the meaning of a search changes

# What the storage holds of a search and of a complete trial, as `rows` describes it.
SPEC = {
    "task": rows.TEXT, "task_version": rows.WHOLE, "data_hash": rows.TEXT, "family": rows.WORD,
    "budget": rows.SIZE, "steps": rows.SIZE, "recipe": rows.TABLE, "sampler": rows.TEXT,
    "pruner": rows.TEXT, "space": rows.TABLE, "seed": rows.WHOLE, "plugins?": rows.CODES,
}  # fmt: skip
TRIAL = {
    "place": rows.COUNT, "config": rows.CONFIG, "learning_rate": rows.POSITIVE,
    "mrl": rows.LENGTH, "startup": rows.TRUTH, "architecture": rows.TEXT,
    "values": [rows.NUMBER],
}  # fmt: skip


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
    warm_start: int = 0  # how many of its first trials are an expert's
    protocol: int = PROTOCOL
    plugins: dict[str, Any] = field(default_factory=dict)  # the code of the user's, if any is

    @property
    def identity(self) -> str:
        told = asdict(self)
        if not self.warm_start:  # as it was before there was one
            del told["warm_start"]
        if self.plugins:  # whatever the files are called today
            told["plugins"] = {kind: code["sha256"] for kind, code in self.plugins.items()}
        else:
            del told["plugins"]
        text = json.dumps(told, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        return f"{self.task}/{self.family}/{self.budget}/{self.identity}"

    def check_code(self) -> None:
        """Raises UserError where a plug-in's code is here another than that of this search."""
        plugin_code.check(self.plugins, self.task, self.family)

    def make_space(self) -> SearchSpace:
        recipe = {k: float(v) if v == "inf" else v for k, v in self.recipe.items()}
        return make_space({"family": self.family, "space": self.space, "recipe": recipe})


def seed_for(*parts: Any) -> int:
    """A seed below 2^31 that depends on all the parts and on nothing else."""
    text = json.dumps(parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


@dataclass(frozen=True)
class TrialFacts:
    """What a trial's attributes say: `draw` is written when it is drawn, `outcome` at its end.

    (Until version 0.1 each fact was an attribute of its own, and `place` was called `index`.)
    """

    place: int | None = None
    startup: bool = False
    warm: bool = False
    duplicate: bool = False
    architecture: str = ""
    config: dict[str, Any] | None = None  # None: the trial was never wholly drawn
    learning_rate: float | None = None
    width: int | None = None
    parameters: int | None = None
    mrl: float | str | None = None
    infeasible: str | None = None
    diverged: str | None = None
    reason: str | None = None  # why it failed by itself
    again: bool = True  # whether the same draw may come through another time
    lost: str | None = None  # how its trainer ended
    seconds: float = 0.0  # of training

    @classmethod
    def of(cls, trial: FrozenTrial) -> TrialFacts:
        attrs = trial.user_attrs
        told = {**attrs, **attrs.get("draw", {}), **attrs.get("outcome", {})}
        told.setdefault("place", told.get("index"))
        return cls(**{f.name: told[f.name] for f in fields(cls) if f.name in told})


FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def fills_place(trial: FrozenTrial) -> bool:
    """Whether a trial has ended in its place of the search."""
    return trial.state in FINISHED and TrialFacts.of(trial).infeasible is None


def holds_place(trial: FrozenTrial) -> bool:
    """Whether a trial fills a place of the search, or is about to."""
    return trial.state != TrialState.FAIL and TrialFacts.of(trial).infeasible is None


@dataclass(frozen=True)
class TrialCounts:
    """How far a study is. `pruned` counts the diverged among them, `done` is complete + pruned.
    `failed` are those that raised; `lost` are those whose trainer died."""

    complete: int = 0
    pruned: int = 0
    diverged: int = 0
    failed: int = 0
    lost: int = 0
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
        """As a study's row has them."""
        names = ("complete", "pruned", "diverged", "failed", "infeasible", "duplicate")
        return {name: getattr(self, name) for name in names}


def count_trials(trials: list[FrozenTrial]) -> TrialCounts:
    told = [(trial.state, TrialFacts.of(trial)) for trial in trials]
    real = [(state, facts) for state, facts in told if facts.infeasible is None]
    states = [state for state, _ in real]
    return TrialCounts(
        complete=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        diverged=sum(facts.diverged is not None for _, facts in real),
        failed=sum(facts.reason is not None for _, facts in real),
        lost=sum(facts.lost is not None for _, facts in real),
        infeasible=len(told) - len(real),
        duplicate=sum(facts.duplicate for state, facts in real if state in FINISHED),
        running=states.count(TrialState.RUNNING),
        waiting=states.count(TrialState.WAITING),
    )


def best_trial(trials: list[FrozenTrial], direction: str) -> FrozenTrial | None:
    """The complete trial of the best value, the earliest of equals."""
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    sign = -1 if direction == "max" else 1
    return min(complete, key=lambda t: (sign * t.value, TrialFacts.of(t).place), default=None)


def open_study(storage: optuna.storages.RDBStorage, spec: StudySpec, task: Task) -> optuna.Study:
    """The study of this identity, made if it is not there yet."""
    direction = "maximize" if task.direction == "max" else "minimize"
    study = optuna.create_study(
        storage=storage, study_name=spec.name, direction=direction, load_if_exists=True
    )
    if "spec" not in study.user_attrs:
        study.set_user_attr("spec", asdict(spec))
    return study


def ask_for(study: optuna.Study, trials: int) -> None:
    """Notes how many trials are wanted, and by which version, for workers that join."""
    for name, value in {"trials": trials, "harness_version": __version__}.items():
        if study.user_attrs.get(name) != value:
            study.set_user_attr(name, value)


def studies_of(
    storage: optuna.storages.RDBStorage, say: Callable[[str], None] | None = None
) -> list[tuple[StudySpec, optuna.Study]]:
    """The searches of a storage for which trials were asked, in the order they were begun. One
    that cannot be read is left out and said; without `say` it raises JobError."""
    found = []
    with reading("the storage's searches"):
        names = optuna.get_all_study_names(storage)
    for name in names:
        try:
            with reading(f"the search {name}"):
                study = optuna.load_study(study_name=name, storage=storage)
                asked = study.user_attrs.keys() >= {"spec", "trials"}
            if asked:  # else somebody else's, or being made
                found.append((spec_of(study), study))
        except JobError as error:
            if say is None:
                raise
            say(str(error))
    return found


def of_other_code(spec: StudySpec, known: list[StudySpec]) -> list[str]:
    """A line on each search that is like this one but for the code of its plug-ins."""
    return [
        f"{spec.family}: the code of its plug-in has changed since the search {other.identity}; "
        f"this is another search, {spec.identity}"
        for other in known
        if other != spec and replace(other, plugins={}) == replace(spec, plugins={})
        if other.identity != spec.identity
    ]


def spec_of(study: optuna.Study) -> StudySpec:
    """What a study searches. Raises JobError where that, or a trial, is not as this version of
    drnn_bench writes it."""
    with reading(f"the search {study.study_name}"):
        spec, trials = study.user_attrs["spec"], study.get_trials(deepcopy=False)
    known = {field.name for field in fields(StudySpec)}
    wrong = rows.difference(spec, SPEC) or (
        f"it has {', '.join(sorted(spec.keys() - known))}, which this version does not know"
        if spec.keys() - known
        else None
    )
    for trial in trials:
        if trial.state == TrialState.COMPLETE and wrong is None:
            told = asdict(TrialFacts.of(trial)) | {"values": trial.values}
            wrong = rows.difference(told, TRIAL, f"trial {trial.number}")
    if wrong is not None:
        raise JobError(f"the search {study.study_name} cannot be read: {wrong}")
    return StudySpec(**spec)


def summarise(study: optuna.Study, spec: StudySpec, direction: str) -> dict[str, Any]:
    """A study as its row tells it. `best` is None where no trial is complete."""
    trials = study.get_trials(deepcopy=False)
    told = sorted(((TrialFacts.of(t), t) for t in trials if fills_place(t)), key=_by_place)
    complete = [(facts, t) for facts, t in told if t.state == TrialState.COMPLETE]
    best = best_trial(trials, direction)
    startup = [t.value for facts, t in complete if facts.startup]
    return {
        "trials": count_trials(trials).counts,
        "best": best and _best(best, spec.make_space()),
        "warm": sum(facts.warm for facts, _ in told),
        "startup_mean": sum(startup) / len(startup) if startup else None,
        "startup_n": len(startup),
        "search_seconds": round(sum(TrialFacts.of(t).seconds for t in trials), 1),
        "complete": [
            {
                "index": facts.place,
                "value": t.value,
                "mrl": facts.mrl,
                "config": facts.config,
                "learning_rate": facts.learning_rate,
            }
            for facts, t in complete
        ],
        "history": _history(trials),
        "ended": study.user_attrs.get("ended"),
    }


def _by_place(told: tuple[TrialFacts, FrozenTrial]) -> int:
    return told[0].place


def _best(trial: FrozenTrial, space: SearchSpace) -> dict[str, Any]:
    facts = TrialFacts.of(trial)
    return {
        "index": facts.place,
        "value": trial.value,
        "config": facts.config,
        "learning_rate": facts.learning_rate,
        "on_edge": space.edges(trial.params),
        "warm": facts.warm,
    }


def _history(trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    """Every trial that filled its place, in the order they finished: seconds of training, and
    hours from the study's first trial to the end of this one. Only complete ones have a value."""
    done = [(TrialFacts.of(t), t) for t in trials if fills_place(t)]
    began = min((t.datetime_start for t in trials if t.datetime_start), default=None)
    return [
        {
            "index": facts.place,
            "state": "diverged" if facts.diverged is not None else t.state.name.lower(),
            "value": t.value if t.state == TrialState.COMPLETE else None,
            "seconds": round(facts.seconds, 3),
            "hours": round((t.datetime_complete - began).total_seconds() / 3600, 5),
        }
        for facts, t in sorted(done, key=lambda d: (d[1].datetime_complete, d[1].number))
    ]
