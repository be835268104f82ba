"""Studies: what identifies a search, and how the storage holds it.

One study searches one family at one budget. Its truth is the Optuna storage and only that.

With a warm start of N the places 0..N-1 are an expert's (see `warm_start`), and the random ones
follow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import optuna
from optuna.trial import TrialState

from drnn_bench import __version__
from drnn_bench.errors import JobError
from drnn_bench.results import values
from drnn_bench.results.codec import from_json
from drnn_bench.search import plugin_code
from drnn_bench.search.database import reading
from drnn_bench.search.space import SearchSpace
from drnn_bench.search.space_file import make_space
from drnn_bench.search.trial_facts import TrialFacts
from drnn_bench.tasks.task import Task

optuna.logging.set_verbosity(optuna.logging.ERROR)

SAMPLERS = ("tpe", "random", "qmc")
PRUNERS = ("asha", "median", "none")
STARTUP = 8  # random trials at the start of every study (or after its warm start), never pruned
PROTOCOL = 2  # raised when the meaning of a search changes

# What the storage holds of a search, of a complete and of a pruned trial, in the terms of
# `results.values`.
SPEC = {
    "task": values.TEXT, "task_version": values.WHOLE, "data_hash": values.TEXT,
    "family": values.WORD, "budget": values.SIZE, "steps": values.SIZE, "recipe": values.TABLE,
    "sampler": values.TEXT,
    "pruner": values.TEXT, "space": values.TABLE, "seed": values.WHOLE, "plugins?": values.CODES,
}  # fmt: skip
TRIAL = {
    "place": values.COUNT, "config": values.CONFIG, "learning_rate": values.POSITIVE,
    "mrl": values.LENGTH, "startup": values.TRUTH, "architecture": values.TEXT,
    "values": [values.NUMBER],
}  # fmt: skip
PRUNED = {
    "config": values.CONFIG | values.NOTHING, "learning_rate": values.POSITIVE | values.NOTHING,
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
    def digest(self) -> str:
        """What identifies the search: 12 digits of a hash of all this."""
        facts = asdict(self)
        if not self.warm_start:  # older versions had none, and their searches continue
            del facts["warm_start"]
        if self.plugins:  # the names of the files do not count
            facts["plugins"] = {kind: code["sha256"] for kind, code in self.plugins.items()}
        else:
            del facts["plugins"]
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        return f"{self.task}/{self.family}/{self.budget}/{self.digest}"

    def check_code(self) -> None:
        """Raises UserError where a plug-in's code is here another than that of this search."""
        plugin_code.check(self.plugins, self.task, self.family)

    def make_space(self) -> SearchSpace:
        recipe = from_json(self.recipe)
        return make_space({"family": self.family, "space": self.space, "recipe": recipe})


def seed_for(*parts: Any) -> int:
    """A seed below 2^31 that depends on all the parts and on nothing else."""
    text = json.dumps(parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def open_study(storage: optuna.storages.RDBStorage, spec: StudySpec, task: Task) -> optuna.Study:
    """The study of this digest; makes it if it is not there yet."""
    direction = "maximize" if task.direction == "max" else "minimize"
    study = optuna.create_study(
        storage=storage, study_name=spec.name, direction=direction, load_if_exists=True
    )
    if "spec" not in study.user_attrs:
        study.set_user_attr("spec", asdict(spec))
    return study


def ask_for(study: optuna.Study, trials: int) -> None:
    """Writes into a study how many trials it is to have, and which version asks for them."""
    for name, value in {"trials": trials, "harness_version": __version__}.items():
        if study.user_attrs.get(name) != value:
            study.set_user_attr(name, value)


def studies_of(
    storage: optuna.storages.RDBStorage, say: Callable[[str], None] | None = None
) -> list[tuple[StudySpec, optuna.Study]]:
    """The searches of a storage for which trials were asked, in the order they were begun. `say`
    takes a line on each that cannot be read; without `say` that raises JobError."""
    pairs = []
    with reading("the storage's searches"):
        names = optuna.get_all_study_names(storage)
    for name in names:
        try:
            with reading(f"the search {name}"):
                study = optuna.load_study(study_name=name, storage=storage)
                ours = study.user_attrs.keys() >= {"spec", "trials"}
            if ours:  # else it is somebody else's, or is being made
                pairs.append((spec_of(study), study))
        except JobError as error:
            if say is None:
                raise
            say(str(error))
    return pairs


def nearly_the_same(spec: StudySpec, known: list[StudySpec]) -> list[str]:
    """A line on each search that differs from this one only in the code of its plug-ins, or in the
    protocol: a user may expect that it is continued."""
    lines = []
    for other in known:
        if other.digest == spec.digest:
            continue
        another = f"this is another search, {spec.digest}"
        if replace(other, plugins={}) == replace(spec, plugins={}):
            changed = "the code of its plug-in has changed"
            lines.append(f"{spec.family}: {changed} since the search {other.digest}; {another}")
        # What the shipped spaces search has changed between protocols.
        if other.protocol != spec.protocol and (
            replace(other, protocol=spec.protocol, space=spec.space) == spec
        ):
            lines.append(
                f"{spec.family}: the search {other.digest} is of protocol {other.protocol}, new "
                f"ones are of protocol {spec.protocol}; {another}"
            )
    return lines


def spec_of(study: optuna.Study) -> StudySpec:
    """What a study searches. Raises JobError where that, or a trial, is not as this version of
    drnn_bench writes it."""
    with reading(f"the search {study.study_name}"):
        spec, trials = study.user_attrs["spec"], study.get_trials(deepcopy=False)
    known = {field.name for field in fields(StudySpec)}
    wrong = values.difference(spec, SPEC) or (
        f"it has {', '.join(sorted(spec.keys() - known))}, which this version does not know"
        if spec.keys() - known
        else None
    )
    for trial in trials:
        kind = {TrialState.COMPLETE: TRIAL, TrialState.PRUNED: PRUNED}.get(trial.state)
        if kind is not None and wrong is None:
            facts = asdict(TrialFacts.of(trial)) | {"values": trial.values}
            wrong = values.difference(facts, kind, f"trial {trial.number}")
    if wrong is not None:
        raise JobError(f"the search {study.study_name} cannot be read: {wrong}")
    return StudySpec(**spec)
