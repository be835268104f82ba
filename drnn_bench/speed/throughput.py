"""How fast models are, measured side by side on an idle machine, after the search.

The models take turns (see `timing`), with one thread and with all cores. The results are medians
with quartiles, and ratios within one session.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from drnn_bench import kernels
from drnn_bench.models.registry import restore_architecture
from drnn_bench.results import records
from drnn_bench.search.study import StudySpec
from drnn_bench.search.summary import describe_run
from drnn_bench.speed.memory import peak_memory
from drnn_bench.speed.reference import reference_net, reference_part
from drnn_bench.speed.timing import BUSY, OtherWork, spread, timed
from drnn_bench.speed.workload import STREAM_STEPS, Runner, Workload
from drnn_bench.system.provenance import cores, provenance
from drnn_bench.tasks.prepared import Prepared, TaskFacts

Row = dict[str, Any]
# Runner's methods, in the order of `repeats`. The last two are for tasks that score the end of a
# sequence only; where every step is scored they are the first two.
MEASURES = ("train", "infer", "latency", "stream", "train_all", "infer_all")
ON_ALL_CORES = MEASURES[:2]  # of finalists; no board shows more
SAME = {"train_all": "train", "infer_all": "infer"}


@dataclass(frozen=True)
class SpeedJob:
    """Measures several finalists, each a study and its best trial, in one session. `run` returns
    their speed rows."""

    models: tuple[tuple[StudySpec, dict[str, Any]], ...]
    device: str

    def run(self, prepared: Prepared) -> Generator[Any, None, list[Row]]:
        yield from ()
        return measure(self.models, prepared, self.device)


def measure(
    models: Sequence[tuple[StudySpec, dict[str, Any]]],
    data: TaskFacts,
    device: str,
) -> list[Row]:
    """The speed rows of finalists, each a study and its best trial: for each a row with one thread,
    and one with all cores unless the machine is busy. Each has the rates of the reference net of
    its budget and recipe, which is measured with them (`reference`)."""
    task, session = data.task, uuid.uuid4().hex[:12]
    works = [
        Workload.of(
            restore_architecture(task, spec.family, best["config"]), task, spec.make_space().recipe
        )
        for spec, best in models
    ]
    keys = [(spec.budget, work.recipe) for (spec, _), work in zip(models, works, strict=True)]
    references = {
        (budget, recipe): Workload.of(reference_net(task, budget), task, recipe)
        for budget, recipe in keys
    }
    rows = []
    cells = [[*works, *references.values()]]
    for cell in side_by_side(cells, device, on_all_cores=ON_ALL_CORES):
        compared = {
            key: reference_part(work.architecture, measured)
            for (key, work), measured in zip(references.items(), cell[len(works) :], strict=True)
        }
        for (spec, best), key, measured in zip(models, keys, cell[: len(works)], strict=True):
            row = describe_run(spec, data, best) | {"seed": 0, "state": "complete"}
            where = provenance(device, measured["threads"])
            said = where | measured | {"reference": compared[key]}
            rows.append(records.make_row("speed", row, session=session, **said))
    return rows


def side_by_side(
    cells: list[list[Workload]],
    device: str,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_all_cores: tuple[str, ...] = MEASURES,
) -> list[list[Row]]:
    """Measures cells of models; those of a cell take turns. Returns a list of rows for each number
    of threads and each cell. `threads`: None for one, and for all cores where they are idle;
    `on_all_cores`: what is measured there, in the order of MEASURES."""
    if threads:
        counts = [threads]
    else:
        counts = sorted({1, cores()}) if device == "cpu" else [torch.get_num_threads()]
    before, out, others = torch.get_num_threads(), [], 0.0
    for count in counts:
        for cell in cells:
            if threads is None and count > 1 and device == "cpu" and others > BUSY:
                # On busy cores the threads wait for one another, a hundred times slower than one
                # thread: the figures would tell the machine's load, not the models' speed.
                continue
            torch.set_num_threads(count)
            first = cell[0]
            say(f"{first.length} steps, batch {first.recipe.batch_size}, threads {count}")
            started, work = records.now(), OtherWork()
            measures = MEASURES if count == counts[0] else on_all_cores
            rows = _rows(cell, device, measures)
            others = work.share()
            machine = "busy" if others > BUSY else "idle"
            out.append(
                [row | {"threads": count, "machine": machine, "started": started} for row in rows]
            )
    torch.set_num_threads(before)
    say("peak memory")
    peaks = iter(peak_memory([work for cell in cells for work in cell], device))
    of_cells = [list(itertools.islice(peaks, len(cell))) for cell in cells]
    return [
        [
            row | {"peak_memory_mb": mb}
            for row, mb in zip(rows, of_cells[i % len(cells)], strict=True)
        ]
        for i, rows in enumerate(out)
    ]


def _rows(cell: list[Workload], device: str, measures: tuple[str, ...]) -> list[Row]:
    """The rows of one cell: sequences per second, milliseconds per sequence and microseconds per
    step of a stream."""
    runners = [Runner(work, device) for work in cell]
    used = [_kernels_of(runner) for runner in runners]
    taken = [name for name in measures if name not in SAME or not cell[0].every_step]
    seconds = {name: timed([getattr(runner, name) for runner in runners], device) for name in taken}
    seconds = {name: seconds.get(name) or seconds[SAME[name]] for name in measures}
    rows = []
    for i, work in enumerate(cell):
        times, batch = {name: seconds[name][i] for name in measures}, work.recipe.batch_size
        figures = [_figures(name, batch, own) for name, own in times.items()]
        rows.append(
            {
                "batch_size": batch,
                "length": work.length,
                "kernels": used[i],
                "repeats": [len(own) for own in times.values()],
                **{key: value for part in figures for key, value in part.items()},
            }
        )
    return rows


def _figures(name: str, batch: int, seconds: list[float]) -> dict[str, float]:
    """The median of a measure and its quartiles."""
    if name == "latency":
        return _times("latency_ms", 1e3, seconds)
    if name == "stream":
        return _times("stream_us", 1e6 / STREAM_STEPS, seconds)
    return _rates(name, batch, seconds)


def _kernels_of(runner: Runner) -> str:
    """The kernels that a model's layers run on."""
    kernels.used()  # forgets the kernels of earlier runs
    for name in MEASURES:
        getattr(runner, name)()
    return kernels.used() or "torch"


def _rates(name: str, batch: int, seconds: list[float]) -> dict[str, float]:
    """Sequences per second: the median and the quartiles."""
    low, middle, high = spread(seconds)
    return {
        f"{name}_per_s": round(batch / middle, 2),
        f"{name}_per_s_low": round(batch / high, 2),
        f"{name}_per_s_high": round(batch / low, 2),
    }


def _times(name: str, scale: float, seconds: list[float]) -> dict[str, float]:
    """The median time and its quartiles, in units of which `scale` make a second."""
    low, middle, high = (round(scale * s, 4) for s in spread(seconds))
    return {name: middle, f"{name}_low": low, f"{name}_high": high}
