"""How long a training of a study takes, measured before the search on a few nets of its space."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import optuna

from drnn_bench import kernels
from drnn_bench.errors import JobError, out_of_memory
from drnn_bench.execution.job import Note
from drnn_bench.models.budget import Infeasible
from drnn_bench.search.study import StudySpec, seed_for
from drnn_bench.speed.workload import Runner, Workload
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.task import Task

PACED = 5  # architectures: the step of one differs from the mean of its space by 30 to 60 %


@dataclass(frozen=True)
class Pace:
    """Seconds, the means over a few architectures: of a training step, and of an evaluation on the
    whole validation set."""

    step: float
    evaluation: float

    def training(self, spec: StudySpec, steps: int | None = None) -> float:
        """Seconds of one training of a study, or of so many steps in place of its own. Where steps
        are few, evaluations take longer than they do."""
        steps = steps or spec.steps
        evaluations = len(spec.make_space().recipe.evaluation_steps(steps))
        return steps * self.step + evaluations * self.evaluation


@dataclass(frozen=True)
class PaceJob:
    """Measures the pace of a study. `run` returns it; None where no architecture is feasible."""

    spec: StudySpec
    device: str

    def run(self, prepared: Prepared) -> Generator[Any, None, Pace | None]:
        steps, evaluations = [], []
        for work in _paced(self.spec, prepared.task):
            with _memory_named(self.spec, work):
                runner = Runner(work, self.device)
            if to_compile := kernels.to_compile(runner.model, work.length):
                yield Note(f"compiling the kernels of {', '.join(to_compile)}, once a machine")
            with _memory_named(self.spec, work):
                runner.train()
                steps.append(_seconds(runner.train))
                batches = _sequences(prepared) / work.recipe.batch_size
                evaluations.append(batches * _seconds(runner.infer))
        return Pace(statistics.mean(steps), statistics.mean(evaluations)) if steps else None


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _sequences(prepared: Prepared) -> float:
    """How many sequences of the training's length the validation set has. That of a stream is one
    sequence, of all its steps."""
    steps_or_sequences, task = len(prepared.arrays()["validation"][0]), prepared.task
    return steps_or_sequences / task.length if task.stream else steps_or_sequences


@contextlib.contextmanager
def _memory_named(spec: StudySpec, work: Workload) -> Iterator[None]:
    """Raises JobError with the size asked for where a training step finds no memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        reason = out_of_memory(error)
        if reason is None:
            raise
        raise JobError(
            f"{spec.family} at {spec.budget:,} parameters, a training step of batch "
            f"{work.recipe.batch_size} and {work.length:,} steps: {reason}"
        ) from None


def _paced(spec: StudySpec, task: Task) -> Iterator[Workload]:
    """A few architectures of a study's space, drawn at random."""
    space, count = spec.make_space(), 0
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed_for(spec.seed, "pace")))
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    for _ in range(100):
        try:
            drawn = space.draw(
                study.ask(),
                budget=spec.budget,
                length=task.length,
                spans=task.needed_spans,
                **sizes,
            )
        except Infeasible:
            continue
        yield Workload.of(drawn.config, task, space.recipe)
        count += 1
        if count == PACED:
            return
