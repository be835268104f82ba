"""Finalists: the best of each study, trained again on fresh seeds.

Here alone the test set is read, once a seed.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drnn_bench import records, weights
from drnn_bench.budget import count_parameters
from drnn_bench.errors import JobError
from drnn_bench.models import make_config
from drnn_bench.models.architecture import Architecture
from drnn_bench.mrl import mean_recurrent_length, reach
from drnn_bench.provenance import provenance
from drnn_bench.studies import StudySpec, seed_for
from drnn_bench.tasks.cache import Prepared
from drnn_bench.tasks.task import Task


def finalist_config(task: Task, family: str, config: dict[str, Any]) -> Architecture:
    """A config as it stands in a record, with the task's sizes."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    return make_config(family, **sizes, **options)


def final_seed(spec: StudySpec, number: int) -> int:
    """The seed of finalist `number` (from 0): never one of the search's."""
    return seed_for(spec.seed, "final", number)


def identity(spec: StudySpec, task: Task, best: dict[str, Any]) -> dict[str, Any]:
    """The part of a row that says what was run; `best` is a study's best trial."""
    net = finalist_config(task, spec.family, best["config"])
    horizon = task.length - 1
    return {
        "study": spec.identity,
        "task": spec.task,
        "task_version": spec.task_version,
        "data_hash": spec.data_hash,
        "family": spec.family,
        "config": best["config"],
        "architecture": net.words,
        "budget": spec.budget,
        "width": min(net.widths),
        "parameters": count_parameters(net),
        "steps": spec.steps,
        "learning_rate": best["learning_rate"],
        "recipe": spec.recipe,
        "metric": task.metric,
        "guessing": task.guessing,
        "direction": task.direction,
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "search_seed": spec.seed,
        "mrl": _finite(mean_recurrent_length(net, horizon)),
        "mrl_horizon": horizon,
        "reach": reach(net),
        "recurrent_edges_per_node": net.recurrent_edges_per_node,
        "sequential_steps": net.sequential_steps(task.length),
        **({"plugins": spec.plugins} if spec.plugins else {}),
    }


def train_final(job: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    """Trains one finalist on one seed, keeps its weights and gives its row.

    The weights come first: a row that names some has them, and a run that stopped between the two
    trains again and writes the same file. Raises JobError where the data is not that of the search
    or was changed, before training and around the one reading of the test set.
    """
    from drnn_bench import kernels
    from drnn_bench.training import Diverged, evaluate, train

    spec, task = StudySpec(**job["spec"]), prepared.task
    if prepared.data_hash != spec.data_hash:
        raise JobError(
            f"the data in {prepared.folder} has the hash {prepared.data_hash}, the search's had "
            f"{spec.data_hash}"
        )
    spec.check_code()
    arrays = prepared.verified()
    net = finalist_config(task, spec.family, job["best"]["config"])
    row = identity(spec, task, job["best"]) | {"seed": job["seed"]}
    kernels.used()  # forget who ran before
    started = records.now()
    outcome: dict[str, Any] = {"validation": None, "test": None}
    try:
        trained = train(
            net,
            task,
            arrays,
            spec.make_space().recipe,
            learning_rate=job["best"]["learning_rate"],
            steps=spec.steps,
            seed=job["seed"],
            device=job["device"],
        )
        validation = trained.validation
        if task.stream:  # so far only a prefix of it was read
            whole = evaluate(trained.model, task, arrays["validation"], job["device"])
            validation = whole[task.metric]
        prepared.verified()  # the files are mapped: nobody may have changed them meanwhile
        test = evaluate(trained.model, task, arrays["test"], job["device"])
        prepared.verified()
        outcome = {
            "state": "complete",
            "validation": validation,
            "test": test[task.metric],
            "test_accuracy": test["accuracy"],
            "test_cross_entropy": test["cross_entropy"],
            "test_size": len(arrays["test"][1]),
            "best_step": trained.step,
            "curve": trained.curve,
            "train_seconds": round(trained.seconds, 3),
            "weights": weights.save(trained.model, Path(job["weights"]) / weights.file_name(row)),
        }
    except Diverged as error:
        outcome |= {"state": "diverged", "reason": str(error)}
    return records.make_row(
        "final",
        row | outcome,
        **provenance(job["device"], job["threads"]),
        started=started,
        kernels=kernels.used() or "torch",
        peak_memory_mb=_peak_memory(job["device"]),
    )


def study_row(spec: StudySpec, task: Task, summary: dict[str, Any], device: str) -> dict[str, Any]:
    """The row of a finished search; `summary` comes from `studies.summarise`."""
    row = identity(spec, task, summary["best"]) | {"seed": spec.seed, "state": "complete"}
    return records.make_row(
        "study", row, **summary, space=spec.space, spec=asdict(spec), **provenance(device, 1)
    )


def _finite(value: float) -> float | str:
    return "inf" if value == float("inf") else value


def _peak_memory(device: str) -> float:
    """MiB: of the GPU's allocator, or of this process since it began."""
    if device.startswith("cuda"):
        import torch

        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
