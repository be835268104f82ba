"""`bench measure`: any named configurations side by side, ratios to the first named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Architecture
from drnn_bench.models.budget import count_parameters
from drnn_bench.models.options import parse_options
from drnn_bench.models.registry import architecture_type
from drnn_bench.tasks.task import Task

Row = dict[str, Any]

# What is shown of each model, with so many digits; its ratio to the first is of the very figure.
FIGURES = {
    "train_per_s": ("train seq/s", 0),
    "infer_per_s": ("infer seq/s", 0),
    "latency_ms": ("latency ms", 2),
    "stream_us": ("stream µs", 0),
    "peak_memory_mb": ("peak MiB", 1),
}


@dataclass(frozen=True)
class Model:
    """A configuration and what it is called: its family, or the words that name it."""

    name: str
    net: Architecture


def parse_models(
    words: list[str], task: Task, budget: int | None, lengths: list[int]
) -> list[Model]:
    """Models from words `FAMILY` or `FAMILY:key=value,...`, for the sizes of a task. The budget
    decides the width of those that do not name theirs. Raises UserError naming what is wrong, a
    dilation that reaches one of the lengths among it."""
    from drnn_bench.models.build import configure

    families = Counter(word.partition(":")[0] for word in words)
    models: list[Model] = []
    for word in words:
        family, _, rest = word.partition(":")
        architecture_type(family)
        pairs = _pairs(rest)
        options = parse_options(family, pairs)
        for size in ("input_size", "output_size"):
            if size in options:
                raise UserError(f"{word}: {size} is the task's ({task.key}), leave it out")
        sizes = {"input_size": task.input_size, "output_size": task.output_size}
        if "width" not in options:
            options["budget"] = budget or task.default_budget
        net = configure(family, **sizes, **options)
        if net.longest_span > 1 and min(lengths) <= net.longest_span:
            raise UserError(
                f"{word}: its largest dilation or period, {net.longest_span}, reaches the sequence "
                f"length {min(lengths)}: name fewer layers or modules, or longer sequences"
            )
        name = " ".join([family, *pairs]) if families[family] > 1 else family
        again = sum(model.name.partition(" (")[0] == name for model in models)
        models.append(Model(f"{name} ({again + 1})" if again else name, net))
    return models


def _pairs(text: str) -> list[str]:
    """`depth=2,width=4,8` -> depth=2 and width=4,8."""
    pairs: list[str] = []
    for part in filter(None, text.split(",")):
        if "=" in part or not pairs:
            pairs.append(part)
        else:
            pairs[-1] += f",{part}"
    return pairs


def measure_models(
    models: list[Model],
    task: Task,
    *,
    lengths: list[int],
    batches: list[int],
    device: str,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """A row for each number of threads, length, batch and model, in this order."""
    from drnn_bench.results.recipe import Recipe
    from drnn_bench.speed.throughput import side_by_side
    from drnn_bench.speed.workload import Workload
    from drnn_bench.system.provenance import provenance

    cells = [
        [
            Workload.of(model.net, task, replace(Recipe(), batch_size=batch), length)
            for model in models
        ]
        for length in lengths
        for batch in batches
    ]
    rows = []
    for cell in side_by_side(cells, device, threads, say):
        for model, measured in zip(models, cell, strict=True):
            rows.append(
                {
                    "model": model.name,
                    "family": model.net.family,
                    "architecture": model.net.words,
                    "config": model.net.config,
                    "parameters": count_parameters(model.net),
                    "task": task.key,
                    **measured,
                    "base": models[0].name,
                    **_ratios(measured, cell[0]),
                    **provenance(device, measured["threads"]),
                }
            )
    return rows


def _ratios(row: Row, first: Row) -> Row:
    """Each figure over the first model's: 2 is twice as many a second, or twice as long."""
    return {
        f"{key}_ratio": row[key] / first[key] if row[key] is not None and first[key] else None
        for key in FIGURES
    }
