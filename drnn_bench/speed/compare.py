"""`bench measure`: named candidates side by side, with ratios to the first one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.models.architecture import Architecture
from drnn_bench.models.budget import count_parameters
from drnn_bench.models.cost import cost
from drnn_bench.models.options import parse_options
from drnn_bench.models.registry import architecture_type
from drnn_bench.tasks.task import Task

Row = dict[str, Any]

# The figures of each candidate: the name of the column, and how many digits are shown. Ratios are
# of the figures before they are rounded.
FIGURES = {
    "train_per_s": ("train seq/s", 0),
    "infer_per_s": ("infer seq/s", 0),
    "latency_ms": ("latency ms", 2),
    "stream_us": ("stream µs", 0),
    "peak_memory_mb": ("peak MiB", 1),
    "train_all_per_s": ("train, all steps", 0),
    "infer_all_per_s": ("infer, all steps", 0),
}


@dataclass(frozen=True)
class Candidate:
    """An architecture to measure, and its name: its family, or the words that it was given by."""

    name: str
    architecture: Architecture


def parse_candidates(
    words: list[str], task: Task, budget: int | None, lengths: list[int]
) -> list[Candidate]:
    """Candidates from words `FAMILY` or `FAMILY:key=value,...`, for the sizes of a task. The budget
    decides the width of those that do not name theirs. Raises UserError naming the word that is
    wrong, also where a dilation reaches one of the lengths."""
    from drnn_bench.models.build import configure

    families = Counter(word.partition(":")[0] for word in words)
    candidates: list[Candidate] = []
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
        architecture = configure(family, **sizes, **options)
        longest = architecture.longest_span
        if longest > 1 and min(lengths) <= longest:
            raise UserError(
                f"{word}: its largest dilation or period, {longest}, reaches the sequence "
                f"length {min(lengths)}: name fewer layers or modules, or longer sequences"
            )
        name = " ".join([family, *pairs]) if families[family] > 1 else family
        namesakes = sum(other.name.partition(" (")[0] == name for other in candidates)
        name = f"{name} ({namesakes + 1})" if namesakes else name
        candidates.append(Candidate(name, architecture))
    return candidates


def _pairs(text: str) -> list[str]:
    """`depth=2,width=4,8` -> depth=2 and width=4,8."""
    pairs: list[str] = []
    for part in filter(None, text.split(",")):
        if "=" in part or not pairs:
            pairs.append(part)
        else:
            pairs[-1] += f",{part}"
    return pairs


def measure_candidates(
    candidates: list[Candidate],
    task: Task,
    *,
    lengths: list[int],
    batches: list[int],
    device: str,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """A row for each number of threads, length, batch size and candidate, in this order. `threads`:
    None for one, and for all cores where they are idle. `say` is called with lines of progress."""
    from drnn_bench.results.recipe import Recipe
    from drnn_bench.speed.throughput import side_by_side
    from drnn_bench.speed.workload import Workload
    from drnn_bench.system.provenance import provenance

    cells = [
        [
            Workload.of(c.architecture, task, replace(Recipe(), batch_size=batch), length)
            for c in candidates
        ]
        for length in lengths
        for batch in batches
    ]
    rows = []
    for cell in side_by_side(cells, device, threads, say):
        for candidate, measured in zip(candidates, cell, strict=True):
            architecture = candidate.architecture
            rows.append(
                {
                    "model": candidate.name,
                    "family": architecture.family,
                    "architecture": architecture.words,
                    "config": architecture.config,
                    "parameters": count_parameters(architecture),
                    **cost(architecture, measured["length"]),
                    "task": task.key,
                    **measured,
                    "base": candidates[0].name,
                    **_ratios(measured, cell[0]),
                    **provenance(device, measured["threads"]),
                }
            )
    return rows


def _ratios(row: Row, first: Row) -> Row:
    """Each figure divided by the first candidate's: 2 is twice as many a second, or twice as
    long."""
    return {
        f"{key}_ratio": row[key] / first[key] if row[key] is not None and first[key] else None
        for key in FIGURES
    }
