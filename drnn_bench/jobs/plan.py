"""From what the user asked for to what will be run, checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drnn_bench.errors import UserError, nearest
from drnn_bench.models.architecture import at_least
from drnn_bench.models.budget import Infeasible
from drnn_bench.models.names import DEFAULT_FAMILIES
from drnn_bench.models.registry import families_of
from drnn_bench.search.database import parse_url, sqlite_url
from drnn_bench.search.feasible import candidates
from drnn_bench.search.plugin_code import codes
from drnn_bench.search.space import SearchSpace
from drnn_bench.search.space_file import default_path, read_space
from drnn_bench.search.study import PRUNERS, SAMPLERS, StudySpec
from drnn_bench.search.warm_start import warm_start
from drnn_bench.system.environment import find_device
from drnn_bench.system.writable import check_room, check_runs
from drnn_bench.tasks.names import DEFAULT_TASK
from drnn_bench.tasks.prepared import Prepared, read, store
from drnn_bench.tasks.registry import check_data_dir, parse_task
from drnn_bench.tasks.task import LONGEST, Task

LARGEST = {
    "trials": 1_000_000,
    "steps": 1_000_000_000,
    "seeds": 1_000,
    "searches": 100,
    "workers": 1_024,
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for; None means the task's or the machine's default."""

    task: str = DEFAULT_TASK
    families: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    trials: int | None = None
    steps: int | None = None
    seeds: int | None = None
    searches: int = 1
    workers: int | None = None
    device: str = "auto"
    data_dir: str | None = None
    runs_dir: str = "runs"
    storage: str | None = None
    search_spaces: tuple[str, ...] = ()
    sampler: str = "tpe"
    pruner: str = "asha"
    warm_start: int = 0
    seed: int = 0
    ray: str | None = None  # a Ray cluster whose nodes train: auto or HOST:PORT
    gpus_per_trial: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be run. `specs` are ordered by budget, family and search seed."""

    request: Request
    prepared: Prepared
    notes: tuple[str, ...]  # on the data
    specs: tuple[StudySpec, ...]
    trials: int
    seeds: int
    workers: int  # trainers of this machine; on a cluster the most that are used, 0 for all
    device: str  # of this machine
    storage: str

    @property
    def trial_device(self) -> str:
        """Of trials and finals: on a cluster, GPUs only where each has a share of one."""
        if self.request.ray is None:
            return self.device
        return "cuda" if self.request.gpus_per_trial else "cpu"

    @property
    def task(self) -> Task:
        return self.prepared.task


def make_plan(request: Request, say: Callable[[str], None] = lambda line: None) -> Plan:
    """Checks everything that can be checked and reads the data. Raises UserError in one line."""
    task = parse_task(request.task)
    _check(request, task)
    spaces = _spaces(request)
    device = find_device(request.device)
    budgets = sorted(set(request.budgets)) or [task.default_budget]
    check_data_dir(request.data_dir)
    say(f"reading {request.task}")
    loaded = read(task, request.data_dir)
    task = loaded.task
    if task.length > LONGEST:
        raise UserError(
            f"{task.key}: a sequence has {task.length:,} steps, at most {LONGEST:,} are taken"
        )
    for space in spaces:
        for budget in budgets:
            check_feasible(space, task, budget)
    runs_dir = check_runs(Path(request.runs_dir))
    seeds = request.seeds or task.default_seeds
    weights = sum(budgets) * len(spaces) * request.searches * seeds
    check_room(runs_dir, 4 * weights)  # they are float32
    prepared = store(loaded, runs_dir / "data")
    specs = _specs(request, prepared, budgets, spaces)
    from drnn_bench.system.provenance import cores

    return Plan(
        request=request,
        prepared=prepared,
        notes=loaded.notes,
        specs=specs,
        trials=request.trials or task.default_trials,
        seeds=seeds,
        workers=request.workers or (0 if request.ray else cores()),
        device=device,
        storage=request.storage or sqlite_url(runs_dir),
    )


def _check(request: Request, task: Task) -> None:
    """What needs no data. Raises UserError."""
    for name, most in LARGEST.items():
        value = getattr(request, name)
        if value is not None and not 1 <= value <= most:
            bound = "at least 1" if value < 1 else f"at most {most:,}"
            raise UserError(f"--{name} must be {bound}, got {value}")
    for budget in request.budgets:
        at_least("budget", budget, 1)
    for name, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        value = getattr(request, name)
        if value not in known:
            raise UserError(f"unknown --{name} {value!r}: {nearest(value, list(known))}")
    trials = request.trials or task.default_trials
    if not 0 <= request.warm_start <= trials:
        raise UserError(
            f"--warm-start must be from 0 to --trials, here {trials}: what it starts with counts "
            f"as trials; got {request.warm_start}"
        )
    if request.storage is not None:
        parse_url(request.storage)
    _check_ray(request)


def _specs(
    request: Request, prepared: Prepared, budgets: list[int], spaces: list[SearchSpace]
) -> tuple[StudySpec, ...]:
    """Every study of the run, by budget, family and search seed."""
    task = prepared.task
    specs = tuple(
        StudySpec(
            task=task.key,
            task_version=task.version,
            data_hash=prepared.data_hash,
            family=space.family,
            budget=budget,
            steps=request.steps or task.default_steps,
            recipe=space.recipe.table,
            sampler=request.sampler,
            pruner=request.pruner,
            space=space.table,
            seed=request.seed + search,
            warm_start=request.warm_start,
            plugins=codes(task.name, space.family, space.cells),
        )
        for budget in budgets
        for space in spaces
        for search in range(request.searches)
    )
    for spec in specs if request.warm_start else ():
        warm_start(spec, task)  # refuses what would be refused later
    return specs


def _check_ray(request: Request) -> None:
    if request.gpus_per_trial < 0:
        raise UserError(f"--gpus-per-trial must be at least 0, got {request.gpus_per_trial:g}")
    if request.ray is None:
        if request.gpus_per_trial:
            raise UserError("--gpus-per-trial needs --ray: without it trials share the one GPU")
        return
    from drnn_bench.execution.ray import check_address

    check_address(request.ray)


def _spaces(request: Request) -> list[SearchSpace]:
    """One space a family: the files given, and the shipped ones for the families named."""
    given: dict[str, SearchSpace] = {}
    for path in request.search_spaces:
        space = read_space(path)
        if space.family in given:
            raise UserError(f"search space {path}: a second file for family {space.family!r}")
        given[space.family] = space
    families = families_of(request.families or given or DEFAULT_FAMILIES)
    for family in given:
        if family not in families:
            raise UserError(f"a search space for {family!r} is given, but --family leaves it out")
    return [given.get(family) or read_space(default_path(family)) for family in families]


def check_feasible(space: SearchSpace, task: Task, budget: int) -> None:
    """Raises UserError where nothing in a space meets the budget: the smallest that would."""
    needs, refusal = None, ""
    for candidate in candidates(space, task.length).shown:
        try:
            candidate.fit(space, task, budget)
            return
        except Infeasible as error:
            refusal = str(error)
            if error.needs is not None:
                needs = min(error.needs, needs or error.needs)
    smallest = f"; the smallest budget that works here is about {needs}" if needs else ""
    raise UserError(
        f"nothing in the search space of {space.family} is feasible at budget {budget} on "
        f"{task.key}{smallest} ({refusal})"
    )
