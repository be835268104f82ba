"""Studies: what identifies a search, how its trials are counted, and what it sums up to.

One study searches one family at one budget; its truth is the Optuna storage and only that.

A trial has an index, its place in the search (0, 1, ...), which decides its random draws and its
training seed. Complete and pruned trials fill their places; diverged ones are stored as pruned. A
failed trial frees its place. An infeasible draw never takes one: it is stored as pruned with the
attribute `infeasible`, because told as failed it would teach the sampler nothing. With a warm start
of N the places 0..N-1 are an expert's (see `warm_start`), and the random ones follow.
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
from drnn_bench.search_space import SearchSpace, make_space
from drnn_bench.storage import reading
from drnn_bench.tasks.task import Task

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
    "index": rows.COUNT, "config": rows.CONFIG, "learning_rate": rows.POSITIVE,
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
            told = trial.user_attrs | {"values": trial.values}
            wrong = rows.difference(told, TRIAL, f"trial {trial.number}")
    if wrong is not None:
        raise JobError(f"the search {study.study_name} cannot be read: {wrong}")
    return StudySpec(**spec)


def summarise(study: optuna.Study, spec: StudySpec, direction: str) -> dict[str, Any]:
    """A study as its row tells it. `best` is None where no trial is complete."""
    trials = study.get_trials(deepcopy=False)
    best = best_trial(trials, direction)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    finished = (TrialState.COMPLETE, TrialState.PRUNED)
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
            "warm": "warm" in best.user_attrs,
        },
        "warm": sum("warm" in t.user_attrs for t in trials if t.state in finished),
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
        "history": _history(trials),
        "ended": study.user_attrs.get("ended"),
    }


def _history(trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    """Every trial that filled its place, in the order they finished: seconds of training, and
    hours from the study's first trial to the end of this one. Only complete ones have a value."""
    done = [
        t for t in trials
        if t.state in (TrialState.COMPLETE, TrialState.PRUNED) and "infeasible" not in t.user_attrs
    ]  # fmt: skip
    if not done:
        return []
    began = min(t.datetime_start for t in trials if t.datetime_start)
    return [
        {
            "index": t.user_attrs["index"],
            "state": "diverged" if "diverged" in t.user_attrs else t.state.name.lower(),
            "value": t.value if t.state == TrialState.COMPLETE else None,
            "seconds": round(t.user_attrs.get("seconds", 0.0), 3),
            "hours": round((t.datetime_complete - began).total_seconds() / 3600, 5),
        }
        for t in sorted(done, key=lambda t: (t.datetime_complete, t.number))
    ]


def holds_place(trial: FrozenTrial) -> bool:
    """Whether a trial fills a place of the search, or is about to."""
    return trial.state != TrialState.FAIL and "infeasible" not in trial.user_attrs


def make_sampler(spec: StudySpec, index: int, attempt: int) -> optuna.samplers.BaseSampler:
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
    if spec.sampler == "random" or index < spec.warm_start + STARTUP:
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(
        n_startup_trials=0,
        multivariate=True,
        group=True,  # options that exist only under a condition
        constant_liar=True,  # do not draw next to what other workers are running
        seed=seed,
    )


def make_pruner(spec: StudySpec) -> optuna.pruners.BasePruner:
    quarter = max(1, spec.recipe["evaluations"] // 4)
    if spec.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=quarter, reduction_factor=2)
    if spec.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=quarter - 1)
    return optuna.pruners.NopPruner()
