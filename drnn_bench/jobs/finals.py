"""Finalists: the best of each study, trained again on fresh seeds.

Only this module reads the test set, once for each seed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnn_bench.errors import JobError
from drnn_bench.models import weights
from drnn_bench.models.registry import restore_architecture
from drnn_bench.results import records
from drnn_bench.results.outcomes import pack
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.study import StudySpec, seed_for
from drnn_bench.search.summary import describe_run
from drnn_bench.system.provenance import provenance
from drnn_bench.tasks.prepared import Prepared, TaskFacts
from drnn_bench.tasks.task import Task


def final_seed(spec: StudySpec, number: int) -> int:
    """The seed of finalist `number` (from 0): never one of the search's."""
    return seed_for(spec.seed, "final", number)


@dataclass(frozen=True)
class Final:
    """A finalist that was trained: its row, and its weights as a file's bytes."""

    row: dict[str, Any]
    weights: bytes | None  # None where it diverged


@dataclass(frozen=True, kw_only=True)
class FinalJob:
    """Trains one finalist on one seed and reads the test set once. Yields evaluations, each with a
    snapshot to continue from, and returns a Final.

    Raises JobError where the data is not that of the search or was changed: before training, and
    around the one reading of the test set.
    """

    spec: StudySpec
    best: dict[str, Any]  # the study's finalist, as `summarise` gives a trial
    seed: int
    device: str
    threads: int = 1
    resume: bytes | None = None

    @property
    def name(self) -> str:
        """What names it in its runs folder."""
        return Path(weights.file_name(self._facts)).stem

    @property
    def _facts(self) -> dict[str, Any]:
        best = self.best
        return {
            "study": self.spec.digest,
            "config": best["config"],
            "learning_rate": best["learning_rate"],
            "seed": self.seed,
        }

    def run(self, prepared: Prepared) -> Generator[Any, None, Final]:
        from drnn_bench import kernels
        from drnn_bench.training.loop import Diverged, train
        from drnn_bench.training.scoring import evaluate

        spec, task = self.spec, prepared.task
        if prepared.data_hash != spec.data_hash:
            raise JobError(
                f"the data of {spec.task} has the hash {prepared.data_hash}, the search's had "
                f"{spec.data_hash}"
            )
        spec.check_code()
        arrays = prepared.verified()
        net = restore_architecture(task, spec.family, self.best["config"])
        kernels.used()  # forgets which kernels ran before
        started, outcome, packed = records.now(), {"validation": None, "test": None}, None
        recipe = Recipe.from_json(spec.recipe)
        with kernels.shared(self.threads):
            try:
                trained = yield from train(
                    net,
                    task,
                    arrays,
                    recipe,
                    learning_rate=self.best["learning_rate"],
                    steps=spec.steps,
                    seed=self.seed,
                    device=self.device,
                    snapshots_after=0.0,
                    resume=self.resume,
                )
            except Diverged as error:
                outcome |= {"state": "diverged", "reason": str(error)}
            else:
                prepared.verified()  # files are mapped: nobody may have changed them meanwhile
                data = arrays["test"]
                test = evaluate(trained.model, task, data, self.device, recipe.batch_size)
                prepared.verified()
                packed = weights.pack(trained.model)
                outcome = {
                    "state": "complete",
                    "validation": trained.validation,
                    "test": test.value,
                    **_beside(task, test.values),
                    "outcomes": pack(test.outcomes_N),
                    "test_size": len(arrays["test"][1]),
                    "best_step": trained.step,
                    "curve": trained.curve,
                    "train_seconds": round(trained.seconds, 3),
                    "weights": weights.sha256(packed),
                }
        row = records.make_row(
            "final",
            describe_run(spec, prepared, self.best) | {"seed": self.seed} | outcome,
            **provenance(self.device, self.threads),
            started=started,
            kernels=kernels.used() or "torch",
            peak_memory_mb=_peak_memory(self.device),
        )
        return Final(row, packed)


def _beside(task: Task, values: Mapping[str, float]) -> dict[str, Any]:
    """What a row has of the test beside the metric that ranks. Accuracy and cross-entropy have keys
    of their own."""
    own = ("accuracy", "cross_entropy")
    row: dict[str, Any] = {f"test_{name}": values[name] for name in own if name in values}
    others = {name: values[name] for name in task.other_metrics}
    return row | ({"metrics": others} if others else {})


def keep_final(final: Final, runs_dir: Path, keep_row: Callable[[dict[str, Any]], None]) -> None:
    """Writes the weights, then the row: so the weights of every row exist. A run that stops between
    the two trains again and writes the same file."""
    if final.weights is not None:
        weights.write(final.weights, runs_dir / weights.FOLDER / weights.file_name(final.row))
    keep_row(final.row)


def failed_final(job: FinalJob, data: TaskFacts, reason: str, device: str) -> dict[str, Any]:
    """The row of a final that failed by machine or code: its family has no rank until the final has
    run. `device` is that of the driver, which writes the row."""
    row = describe_run(job.spec, data, job.best)
    return records.make_row(
        "final",
        row | {"seed": job.seed, "state": "failed", "reason": reason},
        **provenance(device, job.threads),
        started=records.now(),
    )


def _peak_memory(device: str) -> float:
    """MiB: of the GPU's allocator, or of this process since it began."""
    if device.startswith("cuda"):
        import torch

        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
