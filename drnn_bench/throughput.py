"""How fast models are, measured alone and side by side.

After the search, on a quiet machine: the models take turns (A B C A B C ...), so that whatever
slows the machine slows them all; what is reported is the median, and ratios within one session.

Legend: B batch, T steps, I input size.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import torch

from drnn_bench import records
from drnn_bench.finals import finalist_config, identity
from drnn_bench.models.architecture import Architecture
from drnn_bench.provenance import cores, provenance
from drnn_bench.recipe import Recipe
from drnn_bench.search_space import Infeasible
from drnn_bench.studies import StudySpec, seed_for
from drnn_bench.tasks.cache import Prepared
from drnn_bench.tasks.task import Task

REPEATS, SECONDS, LEAST = 30, 3.0, 5  # per model and measure: whichever comes first, at least
PATIENCE = 20.0  # seconds after which fewer repeats must do
IDLE = 0.85  # the machine counts as idle where at least this share of its processor time is


def measure(job: dict[str, Any], task: Task) -> list[dict[str, Any]]:
    """Speed rows of several finalists of one task, measured in one session: per model one row
    with one thread, and one with all cores unless the machine is busy."""
    device, session, rows = job["device"], uuid.uuid4().hex[:12], []
    models = [(StudySpec(**m["spec"]), m["best"]) for m in job["models"]]
    for threads in sorted({1, cores()}) if device == "cpu" else [torch.get_num_threads()]:
        started, idle = records.now(), idle_share()
        if threads > 1 and idle < IDLE:
            # Threads that wait for one another while others hold the cores: a hundred times slower
            # than one thread, and a figure about the machine's load, not about the models.
            break
        torch.set_num_threads(threads)
        timed = [
            _runs(finalist_config(task, spec.family, best["config"]), task, spec, device)
            for spec, best in models
        ]
        train = _interleave([t for t, _ in timed], device)
        infer = _interleave([i for _, i in timed], device)
        idle = min(idle, idle_share())
        for (spec, best), train_s, infer_s in zip(models, train, infer, strict=True):
            batch = spec.recipe["batch_size"]
            row = identity(spec, task, best) | {"seed": 0, "state": "complete"}
            rows.append(
                records.make_row(
                    "speed",
                    row,
                    session=session,
                    batch_size=batch,
                    machine="idle" if idle >= IDLE else "busy",
                    repeats=[len(train_s), len(infer_s)],
                    **_rates("train", batch, train_s),
                    **_rates("infer", batch, infer_s),
                    **provenance(device, threads),
                    started=started,
                )
            )
    torch.set_num_threads(1)
    return rows


def pace(job: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    """Seconds per training step of a study, over two architectures drawn at random."""
    spec, task = StudySpec(**job["spec"]), prepared.task
    space, seconds = spec.make_space(), []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed_for(spec.seed, "pace")))
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    for _ in range(100):
        try:
            drawn = space.draw(study.ask(), budget=spec.budget, length=task.length, **sizes)
        except Infeasible:
            continue
        step, _ = _runs(drawn.config, task, spec, job["device"])
        step()
        started = time.perf_counter()
        step()
        step()
        seconds.append((time.perf_counter() - started) / 2)
        if len(seconds) == 2:
            break
    return {"seconds_per_step": statistics.mean(seconds) if seconds else None}


def _runs(
    config: Architecture, task: Task, spec: StudySpec, device: str
) -> tuple[Callable[[], None], Callable[[], None]]:
    """A training step and an inference pass, at the recipe's batch and the task's length."""
    from drnn_bench.training import cross_entropy, flatten, inputs

    recipe: Recipe = spec.make_space().recipe
    torch.manual_seed(0)
    model = config.build().to(device)
    weights = flatten(model)
    optimizer = recipe.make_optimizer([weights], 1e-4)
    if task.one_hot:
        symbols = torch.randint(task.input_size, (recipe.batch_size, task.length))
        x = inputs(task, symbols.numpy(), device, model)
    else:
        x = torch.rand(recipe.batch_size, task.length, task.input_size, device=device)
    scored = task.scored or task.length
    y_BT = torch.randint(task.output_size, (recipe.batch_size, scored), device=device)

    def train() -> None:
        loss = cross_entropy(model(x, last=task.scored), y_BT)
        weights.grad.zero_()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
        optimizer.step()

    @torch.no_grad()
    def infer() -> None:
        model(x, last=task.scored)

    return train, infer


def _interleave(runs: list[Callable[[], None]], device: str) -> list[list[float]]:
    """Seconds of each run of each model, round by round, after a round of warm-up."""
    sync = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    seconds: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    while True:
        for run, taken in zip(runs, seconds, strict=True):
            sync()
            started = time.perf_counter()
            run()
            sync()
            taken.append(time.perf_counter() - started)
        done, slowest = len(seconds[0]), max(map(sum, seconds))
        if done >= REPEATS or (done >= LEAST and min(map(sum, seconds)) >= SECONDS):
            return seconds
        if done >= 2 and slowest >= PATIENCE:  # all cores, on a machine that has none to spare
            return seconds


def _rates(name: str, batch: int, seconds: list[float]) -> dict[str, float]:
    """Sequences per second: the median, and the quartiles as its spread."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {
        f"{name}_per_s": round(batch / middle, 2),
        f"{name}_per_s_low": round(batch / high, 2),
        f"{name}_per_s_high": round(batch / low, 2),
    }


def idle_share(seconds: float = 0.5) -> float:
    """The share of this machine's processor time that is idle; 1 where that cannot be read."""

    def read() -> tuple[int, int]:
        fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return fields[3] + fields[4], sum(fields[:8])

    try:
        idle, total = read()
        time.sleep(seconds)
        idle_after, total_after = read()
    except OSError:
        return 1.0
    return (idle_after - idle) / max(1, total_after - total)
