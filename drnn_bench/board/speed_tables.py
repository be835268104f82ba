"""The figures of `bench measure` as text: a table for each length, batch and number of threads."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

from drnn_bench.board.cells import number_text
from drnn_bench.board.renderings import csv_table, markdown_table
from drnn_bench.speed.compare import FIGURES, Row
from drnn_bench.system.escape import markdown, rich

if TYPE_CHECKING:
    from rich.console import Console

CELL = ("length", "batch_size", "threads")


def cells(rows: list[Row]) -> list[list[Row]]:
    """The rows that were measured in turns with one another."""
    keyed: dict[tuple, list[Row]] = {}
    for row in rows:
        keyed.setdefault(tuple(row[key] for key in CELL), []).append(row)
    return list(keyed.values())


def heading(cell: list[Row]) -> str:
    busy = ", on a BUSY machine" if cell[0]["machine"] == "busy" else ""
    return ", ".join(_words(cell[0], key) for key in CELL) + busy


def _words(row: Row, key: str) -> str:
    value = f"{row[key]:,}"
    plural = "" if row[key] == 1 else "s"
    return {
        "length": f"{value} step{plural}",
        "batch_size": f"batch {value}",
        "threads": f"{value} thread{plural}",
    }[key]


def titles() -> list[str]:
    return ["model", "parameters", *(title for title, _ in FIGURES.values())]


def shown(row: Row, form: str) -> list[str]:
    """A model's cells: its name and parameters, then each figure with its ratio to the base.

    `form` is a format of the ratio and the figure.
    """
    text = [row["model"], f"{row['parameters']:,}"]
    for key, (_, digits) in FIGURES.items():
        value, ratio = row[key], row[f"{key}_ratio"]
        figure = number_text(value, digits)
        text.append(figure if ratio is None else form.format(ratio, figure))
    return text


def caption(rows: list[Row]) -> list[str]:
    """How the figures came about, and how they grow with length and batch: full sentences."""
    first = rows[0]
    spreads = [
        (row[f"{key}_high"] - row[f"{key}_low"]) / row[key]
        for row in rows
        for key in FIGURES
        if row[key] and f"{key}_low" in row
    ]
    names = {row["model"]: row["architecture"] for row in rows}
    used = "/".join(dict.fromkeys(row["kernels"] for row in rows))
    return [
        f"Ratios to {first['base']}, models in turns; figures are medians, the interquartile range "
        f"{100 * median(spreads):.0f} % of them (at worst {100 * max(spreads):.0f} %).",
        "Latency: one whole sequence. Stream: one step of one sequence. Peak: what training adds. "
        "All steps: with every step's output computed, and in training scored.",
        *_growth(rows, "length"),
        *_growth(rows, "batch_size"),
        f"One more step of a stream costs: {'; '.join(_costs(rows))}.",
        f"{first['task']}. {'. '.join(f'{name}: {words}' for name, words in names.items())}.",
        f"{first['processor']}, {first['device']}, torch {first['torch']}, {first['dtype']}, "
        f"kernels: {used}.",
    ]


def _costs(rows: list[Row]) -> list[str]:
    return [
        f"{model} {number_text(row['macs_per_step'])} MACs and {number_text(row['state_bytes'])} "
        f"bytes of state, with {number_text(row['weight_bytes'])} bytes of weights"
        for model, row in {row["model"]: row for row in rows}.items()
    ]


def _growth(rows: list[Row], key: str) -> list[str]:
    """A sentence on how time grows from the least to the most of `key`, all else as in the first
    row; none where `key` does not vary."""
    first, others = rows[0], [other for other in CELL if other != key]
    alike = [row for row in rows if all(row[other] == first[other] for other in others)]
    alike.sort(key=lambda row: row[key])
    least, most = alike[0], alike[-1]
    if least[key] == most[key]:
        return []

    def seconds(model: str, at: Row, what: str) -> float:
        [row] = [row for row in alike if (row["model"], row[key]) == (model, at[key])]
        return row["batch_size"] / row[what]

    factors = []
    for model in dict.fromkeys(row["model"] for row in rows):
        train, infer = (
            seconds(model, most, what) / seconds(model, least, what)
            for what in ("train_per_s", "infer_per_s")
        )
        factors.append(f"{model} {train:.1f} and {infer:.1f}")
    where = ", ".join(_words(first, other) for other in others)
    return [
        f"From {_words(least, key)} to {_words(most, key)} ({most[key] / least[key]:.3g} times; "
        f"{where}) a training step and inference take so many times as long: {'; '.join(factors)}."
    ]


def to_markdown(rows: list[Row]) -> str:
    parts = []
    right = [title != "model" for title in titles()]
    for cell in cells(rows):
        text = markdown_table(titles(), [shown(row, "{:.2f}x ({})") for row in cell], right)
        parts += [f"### {heading(cell)}", text]
    return "\n\n".join([*parts, markdown(" ".join(caption(rows)))]) + "\n"


def to_csv(rows: list[Row]) -> str:
    flat = [row | {key: json.dumps(row[key]) for key in ("config", "repeats")} for row in rows]
    keys = list(dict.fromkeys(key for row in flat for key in row))
    return csv_table(keys, [[row.get(key) for key in keys] for row in flat])


def print_tables(console: Console, rows: list[Row]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for cell in cells(rows):
        table = Table(box=box.SIMPLE_HEAD, title=rich(heading(cell)), title_justify="left")
        for title in titles():
            table.add_column(
                title.replace(" ", "\n"), justify="left" if title == "model" else "right"
            )
        for row in cell:
            table.add_row(*map(Text, shown(row, "{:.2f}x\n{}")))
        console.print(table)
    for line in caption(rows):
        console.print(rich(line, "dim"))
