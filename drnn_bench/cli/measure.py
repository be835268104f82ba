"""`bench measure`: how fast named configurations are, side by side."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from drnn_bench.cli.options import (
    BudgetOption,
    DataOption,
    DeviceOption,
    Format,
    FormatOption,
    JsonOption,
    make_console,
    parse_budget,
    say_error,
)
from drnn_bench.cli.waiting import waiting
from drnn_bench.errors import UserError
from drnn_bench.tasks.names import DEFAULT_TASK


def measure(
    models: Annotated[list[str], typer.Argument(metavar="FAMILY[:key=value,...]...", help="What to measure; ratios are to the first.")],
    task: Annotated[str, typer.Option(help="A task, with options: copy_memory:T=1000.")] = DEFAULT_TASK,
    budget: BudgetOption = None,
    lengths: Annotated[str | None, typer.Option(help="Steps of a sequence: 256,1024; default: the task's.")] = None,
    batches: Annotated[str | None, typer.Option(help="Sequences in a batch: 1,128; default: the recipe's.")] = None,
    threads: Annotated[int | None, typer.Option(help="Only this number; default: one, and all cores where they are free.")] = None,
    device: DeviceOption = "auto",
    data_dir: DataOption = None,
    format: FormatOption = Format.table,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Throughput, latency and memory of named models, measured in turns."""
    from drnn_bench.results.recipe import Recipe
    from drnn_bench.speed.compare import measure_candidates, parse_candidates
    from drnn_bench.system.allocator import keep_freed_memory
    from drnn_bench.system.environment import find_device
    from drnn_bench.system.provenance import cores
    from drnn_bench.tasks.registry import sized_task

    sized = sized_task(task, data_dir)
    all_lengths = _numbers("lengths", lengths) or [sized.length]
    all_batches = _numbers("batches", batches) or [Recipe().batch_size]
    if threads is not None and not 1 <= threads <= cores():
        raise UserError(f"--threads must be 1 to {cores()}, the cores that are here: {threads}")
    named = parse_candidates(
        models, sized, None if budget is None else parse_budget(budget), all_lengths
    )
    keep_freed_memory()  # as trainers do
    format = Format.json if as_json else format
    console, device_name = make_console(aside=format == Format.json), find_device(device)
    with waiting(console, say_error, "measuring") as now:
        rows = measure_candidates(
            named,
            sized,
            lengths=all_lengths,
            batches=all_batches,
            device=device_name,
            threads=threads,
            say=lambda line: now(f"measuring: {line}"),
        )
    if threads is None and device_name == "cpu" and cores() > max(row["threads"] for row in rows):
        print("bench: the machine is busy: only one thread was measured", file=sys.stderr)
    if format == Format.json:
        print(json.dumps(rows, indent=2))
        return
    from drnn_bench.board import speed_tables

    if format == Format.table:
        speed_tables.print_tables(console, rows)
        return
    texts = {Format.markdown: speed_tables.to_markdown, Format.csv: speed_tables.to_csv}
    print(texts[format](rows), end="")


def _numbers(option: str, text: str | None) -> list[int]:
    """`256,1024` -> 256 and 1024, each once, in the order given."""
    if text is None:
        return []
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UserError(f"--{option} {text}: should be whole numbers above 0, such as 256,1024")
    if max(numbers) > 1_000_000:
        raise UserError(f"--{option} {text}: should be whole numbers of at most 1,000,000")
    return list(dict.fromkeys(numbers))
