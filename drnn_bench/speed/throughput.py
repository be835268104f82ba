"""How fast models are, measured alone and side by side.

After the search, on a quiet machine: the models take turns (see `timing`), with one thread and
with all cores; what is reported is medians with quartiles, and ratios within one session.
"""

from __future__ import annotations

import contextlib
import statistics
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import torch

from drnn_bench import kernels
from drnn_bench.errors import JobError, out_of_memory
from drnn_bench.execution.job import Note
from drnn_bench.models.registry import restore_architecture
from drnn_bench.results import records
from drnn_bench.search.space import Infeasible
from drnn_bench.search.study import StudySpec, seed_for
from drnn_bench.search.summary import describe_run
from drnn_bench.speed.memory import peak_memory
from drnn_bench.speed.timing import (
    IDLE,
    idle_share,
    spread,
    timed,
)
from drnn_bench.speed.workload import STREAM_STEPS, Runner, Workload
from drnn_bench.system.provenance import cores, provenance
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.task import Task

Row = dict[str, Any]
PACED = 5  # architectures: a step of one differs from the space's mean by 0.3 to 0.6 of it
MEASURES = ("train", "infer", "latency", "stream")  # Runner's methods, in the order of `repeats`


@dataclass(frozen=True)
class SpeedJob:
    """Measures several finalists, each a study and its best trial, in one session. Returns their
    speed rows."""

    models: tuple[tuple[StudySpec, dict[str, Any]], ...]
    device: str

    def run(self, prepared: Prepared) -> Generator[Any, None, list[Row]]:
        yield from ()
        return measure(self.models, prepared.task, self.device)


@dataclass(frozen=True)
class PaceJob:
    """Measures a training step of a study: returns its seconds, the mean over a few architectures
    drawn at random; None where none is feasible."""

    spec: StudySpec
    device: str

    def run(self, prepared: Prepared) -> Generator[Any, None, float | None]:
        seconds = []
        for work in _paced(self.spec, prepared.task):
            with _memory_said(self.spec, work):
                runner = Runner(work, self.device)
            if to_compile := kernels.to_compile(runner.model):
                yield Note(f"compiling the kernels of {', '.join(to_compile)}, once a machine")
            with _memory_said(self.spec, work):
                runner.train()
                started = time.perf_counter()
                runner.train()
                seconds.append(time.perf_counter() - started)
        return statistics.mean(seconds) if seconds else None


@contextlib.contextmanager
def _memory_said(spec: StudySpec, work: Workload) -> Iterator[None]:
    """Raises JobError with the size wanted where a training step finds no memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        said = out_of_memory(error)
        if said is None:
            raise
        raise JobError(
            f"{spec.family} at {spec.budget:,} parameters, a training step of batch "
            f"{work.recipe.batch_size} and {work.length:,} steps: {said}"
        ) from None


def measure(
    models: Sequence[tuple[StudySpec, dict[str, Any]]], task: Task, device: str
) -> list[Row]:
    """Per model one row with one thread, and one with all cores unless the machine is busy."""
    session = uuid.uuid4().hex[:12]
    works = [
        Workload.of(
            restore_architecture(task, spec.family, best["config"]), task, spec.make_space().recipe
        )
        for spec, best in models
    ]
    rows = []
    for cell in side_by_side([works], device):
        for (spec, best), measured in zip(models, cell, strict=True):
            row = describe_run(spec, task, best) | {"seed": 0, "state": "complete"}
            where = provenance(device, measured["threads"])
            rows.append(records.make_row("speed", row, session=session, **(where | measured)))
    return rows


def side_by_side(
    cells: list[list[Workload]],
    device: str,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[list[Row]]:
    """What was measured of each cell of models, which take turns: a list of rows for each number
    of threads and each cell. `threads`: None for one, and for all cores where they are free."""
    asked = [threads] if threads else sorted({1, cores()})
    if device != "cpu":
        asked = asked if threads else [torch.get_num_threads()]
    before, idle, out = torch.get_num_threads(), idle_share(), []
    for count in asked:
        for cell in cells:
            if threads is None and count > 1 and device == "cpu" and idle < IDLE:
                # Threads that wait for one another while others hold the cores: a hundred times
                # slower than one, and a figure about the machine's load, not about the models.
                continue
            torch.set_num_threads(count)
            first = cell[0]
            say(f"{first.length} steps, batch {first.recipe.batch_size}, threads {count}")
            started, rows = records.now(), _rows(cell, device)
            after = idle_share()
            quiet = min(idle, after) >= IDLE
            shared = {"threads": count, "machine": "idle" if quiet else "busy", "started": started}
            out.append([row | shared for row in rows])
            idle = after
    torch.set_num_threads(before)
    say("peak memory")
    peaks = [peak_memory(cell, device) for cell in cells]
    return [
        [row | {"peak_memory_mb": mb} for row, mb in zip(rows, peaks[i % len(cells)], strict=True)]
        for i, rows in enumerate(out)
    ]


def _rows(cell: list[Workload], device: str) -> list[Row]:
    """One cell: sequences/s, milliseconds a sequence and microseconds a step of a stream."""
    runners = [Runner(work, device) for work in cell]
    used = [_kernels_of(runner) for runner in runners]
    seconds = {
        name: timed([getattr(runner, name) for runner in runners], device) for name in MEASURES
    }
    rows = []
    for i, work in enumerate(cell):
        mine, batch = {name: seconds[name][i] for name in MEASURES}, work.recipe.batch_size
        rows.append(
            {
                "batch_size": batch,
                "length": work.length,
                "kernels": used[i],
                "repeats": [len(mine[name]) for name in MEASURES],
                **_rates("train", batch, mine["train"]),
                **_rates("infer", batch, mine["infer"]),
                **_times("latency_ms", 1e3, mine["latency"]),
                **_times("stream_us", 1e6 / STREAM_STEPS, mine["stream"]),
            }
        )
    return rows


def _kernels_of(runner: Runner) -> str:
    """The kernels that a model's layers run on."""
    kernels.used()  # forget who ran before
    for name in MEASURES:
        getattr(runner, name)()
    return kernels.used() or "torch"


def _paced(spec: StudySpec, task: Task) -> Iterator[Workload]:
    """A few architectures of a study's space, drawn at random."""
    space, found = spec.make_space(), 0
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed_for(spec.seed, "pace")))
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    for _ in range(100):
        try:
            drawn = space.draw(study.ask(), budget=spec.budget, length=task.length, **sizes)
        except Infeasible:
            continue
        yield Workload.of(drawn.config, task, space.recipe)
        found += 1
        if found == PACED:
            return


def _rates(name: str, batch: int, seconds: list[float]) -> dict[str, float]:
    """Sequences per second: the median, and the quartiles as its spread."""
    low, middle, high = spread(seconds)
    return {
        f"{name}_per_s": round(batch / middle, 2),
        f"{name}_per_s_low": round(batch / high, 2),
        f"{name}_per_s_high": round(batch / low, 2),
    }


def _times(name: str, scale: float, seconds: list[float]) -> dict[str, float]:
    """The median time in some unit, and its quartiles."""
    low, middle, high = (round(scale * s, 4) for s in spread(seconds))
    return {name: middle, f"{name}_low": low, f"{name}_high": high}
