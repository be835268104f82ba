"""Small workloads for tests of speed and memory."""

from __future__ import annotations

from drnn_bench.models.build import configure
from drnn_bench.results.recipe import Recipe
from drnn_bench.speed.workload import Workload
from drnn_bench.tasks.registry import parse_task

DIGITS = parse_task("pixel_digits")
SMALL = Recipe(batch_size=2)


def work(family: str, *, task=DIGITS, recipe=SMALL, length=None, width=4, **options) -> Workload:
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    return Workload.of(configure(family, width=width, **sizes, **options), task, recipe, length)
