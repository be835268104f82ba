"""The columns of a board, as data: adding one is one entry. And its plain-text renderings."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from drnn_bench.board.reproduce import again
from drnn_bench.results.correlation import Correlation
from drnn_bench.results.ranking import GROUP
from drnn_bench.results.recipe import Recipe
from drnn_bench.system.escape import markdown

Row = dict[str, Any]
MISSING = "–"
UNITS = {"accuracy": "accuracy %", "cross_entropy": "nats", "bits_per_character": "bits/char"}
NESTED = (
    "config",
    "trials",
    "recipe",
    "space",
    "tests",
    "on_edge",
    "mrl_correlation",
    "left_out",
    "apart",
)


@dataclass(frozen=True)
class Column:
    """`show` makes the cell's text from a line; columns of the lowest `rank` are chosen first
    where a terminal is too narrow for all; rank 0 is always there. `better`: the key whose
    largest value is the best one, where the column has such a direction. `needs`: a key without
    which in any line the column is left out."""

    title: str
    show: Callable[[Row], str]
    rank: int
    right: bool = True
    better: str | None = None
    needs: str | None = None


def _percent(value: float | None) -> str:
    return MISSING if _none(value) else f"{100 * value:.1f}"


def metric_text(line: Row, key: str) -> str:
    value = line[key]
    if _none(value):
        return MISSING
    return f"{100 * value:.1f}" if line["metric"] == "accuracy" else f"{value:.4f}"


def _accuracy(line: Row) -> str:
    return _percent(line["test_accuracy"])


def shown_interval(line: Row) -> str:
    """The test mean with half of its interval, in the metric's unit; or why there is none."""
    if not line["n"]:
        return "diverged" if line["diverged_finals"] else "search only"
    if _none(line["test_low"]):
        return metric_text(line, "test_mean")
    half = (line["test_high"] - line["test_low"]) / 2
    scale = 100 if line["metric"] == "accuracy" else 1
    return f"{metric_text(line, 'test_mean')} ± {scale * half:.{1 if scale == 100 else 4}f}"


def _gain(key: str) -> Callable[[Row], str]:
    def show(line: Row) -> str:
        value = line[key]
        if _none(value):
            return MISSING
        return f"{100 * value:+.1f}" if line["metric"] == "accuracy" else f"{value:+.4f}"

    return show


def rank_text(line: Row) -> str:
    low, high = line["rank_low"], line["rank_high"]
    if _none(low):
        return MISSING
    return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"


def _number(key: str, digits: int = 0, suffix: str = "") -> Callable[[Row], str]:
    def show(line: Row) -> str:
        value = line[key]
        if _none(value):
            return MISSING
        if value in ("inf", math.inf):
            return "∞"
        return f"{value:,.{digits}f}{suffix}"

    return show


def _trials(line: Row) -> str:
    t = line["trials"]
    text = f"{t['complete']}+{t['pruned']}"
    notes = [f"{t[k]} {k}" for k in ("diverged", "failed", "infeasible", "duplicate") if t[k]]
    notes += [f"{line['warm']} warm"] if line["warm"] else []
    return f"{text} ({', '.join(notes)})" if notes else text


def _edge(line: Row) -> str:
    return ", ".join(line["on_edge"]) or MISSING


COLUMNS = (
    Column("rank", rank_text, 0),
    Column("family", lambda x: x["family"], 0, right=False),
    Column("test {metric}", shown_interval, 0),
    Column("accuracy %", _accuracy, 8),
    Column("n", _number("n"), 1),
    Column("search", lambda x: x["search"] or MISSING, 1, right=False, needs="search"),
    Column("parameters", _number("parameters"), 2),
    Column("train seq/s", _number("train_per_s"), 3, better="train_per_s"),
    Column("infer seq/s", _number("infer_per_s"), 7, better="infer_per_s"),
    Column("speed/lstm", _number("speed_ratio", 2, "x"), 5, better="speed_ratio"),
    Column("latency ms", _number("latency_ms", 2), 16, needs="latency_ms"),
    Column("stream µs", _number("stream_us"), 17, needs="stream_us"),
    Column("peak MiB", _number("peak_memory_mb", 1), 18, needs="peak_memory_mb"),
    Column("MRL", _number("mrl", 1), 4),
    Column("steps in row", _number("sequential_steps"), 11),
    Column("edges/node", _number("recurrent_edges_per_node", 2), 12),
    Column("val best", lambda x: metric_text(x, "validation_best"), 8),
    Column("val mean", lambda x: metric_text(x, "validation_mean"), 13),
    Column("random mean", lambda x: metric_text(x, "startup_mean"), 9),
    Column("gain", _gain("gain"), 9, better="gain"),
    Column("over random search", _gain("gain_over_random"), 9, needs="gain_over_random"),
    Column("test s.e.", lambda x: _percent(x["test_error"]), 14),
    Column("trials", _trials, 10),
    Column("on edge", _edge, 15, right=False),
    Column("architecture", lambda x: x["architecture"], 6, right=False),
)


@dataclass(frozen=True)
class TableText:
    """A group of lines as text: what every rendering of it shows."""

    columns: list[Column]
    titles: list[str]
    cells: list[list[str]]


def as_text(lines: list[Row]) -> TableText:
    """The cells of a group; the accuracy's column only beside another metric."""
    metric, direction = lines[0]["metric"], lines[0]["direction"]
    named = f"{UNITS.get(metric, metric)} {'↑' if direction == 'max' else '↓'}"
    shown = [
        c
        for c in COLUMNS
        if (c.show is not _accuracy or metric != "accuracy")
        and (c.needs is None or any(not _none(line[c.needs]) for line in lines))
    ]
    titles = [column.title.format(metric=named) for column in shown]
    return TableText(shown, titles, [[column.show(line) for column in shown] for line in lines])


def groups(board: pd.DataFrame) -> list[list[Row]]:
    """The board's lines, a list for each group that is ranked together."""
    lines = board.to_dict("records")
    keyed: dict[tuple, list[Row]] = {}
    for line in lines:
        keyed.setdefault(tuple(line[k] for k in GROUP), []).append(line)
    return list(keyed.values())


def heading(lines: list[Row]) -> str:
    first = lines[0]
    return f"{first['task']}, at most {first['budget']:,} parameters, {first['steps']:,} steps"


def recipe_words(line: Row) -> str:
    return Recipe.from_json(line["recipe"]).words


def caption(lines: list[Row]) -> str:
    """How a group's figures came about, in full sentences."""
    first = lines[0]
    recipes = list(dict.fromkeys(recipe_words(x) for x in lines))
    seeds = sorted({x["n"] for x in lines if x["n"]}) or [0]
    hardware = next((x["hardware"] for x in lines if x["hardware"]), None)
    busy = any(x["machine"] == "busy" for x in lines)
    counts = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    if counts == "1":
        mean = "One fresh seed (n = 1), so no interval; "
    else:
        mean = f"Mean over {counts} fresh seeds ± half of the 95 % Student t interval; "
    said = [
        f"{mean}families that a pairwise Welch test with Holm's correction cannot tell apart "
        "share ranks. Conditional on one search per family.",
        f"Recipe: {'; '.join(recipes)}; learning rate tuned per study. "
        f"Sampler {_all(lines, 'sampler')}, pruner {_all(lines, 'pruner')}. "
        "Trials: complete+pruned. Random mean: the start-up trials, never pruned; gain: the "
        "validation mean over it.",
        f"MRL: mean recurrent length over the spans 1 to {first['mrl_horizon']}; it counts edges, "
        "not gradient decay. Equal parameters are not equal compute: see the steps that must "
        "follow one another, and the speed.",
    ]
    finals = sum(x["n"] * x["train_seconds"] for x in lines if x["n"])
    said.append(
        f"Training took {_hours(sum(x['search_seconds'] for x in lines))} hours of one core in "
        f"search and {_hours(finals)} in finals."
    )
    if hardware:
        said.append(
            f"Speed: {hardware}, {_all(lines, 'threads')} thread, models in turns"
            + (", on a BUSY machine." if busy else ", on an idle machine.")
        )
    if not _none(first["guessing"]):
        said.insert(0, f"Guessing costs {first['guessing']:.4f}.")
    warm = [x for x in lines if x["warm"]]
    if warm:
        won = ", ".join(x["family"] for x in warm if x["warm_best"]) or "no family"
        said.append(
            f"Warm start {_all(warm, 'warm')} (nets of the smallest mean recurrent length, counted "
            f"as trials, never pruned): best is one of them for {won}."
        )
    edges = [f"{x['family']} ({_edge(x)})" for x in lines if x["on_edge"]]
    if edges:
        said.append(f"Best value on the edge of its range: {'; '.join(edges)}.")
    diverged = [f"{x['family']} ({x['diverged_finals']})" for x in lines if x["diverged_finals"]]
    if diverged:
        said.append(f"Finals that diverged, not in the mean: {'; '.join(diverged)}.")
    said += _plugins(lines)
    said += _left_out(lines)
    said.append(f"Last run {max(x['date'] for x in lines)}, data {first['data_hash']}.")
    return " ".join(said)


def _plugins(lines: list[Row]) -> list[str]:
    """Which rows came from plug-ins, and which of them from other code than the rest."""
    brought: dict[str, set[str]] = {}
    for line in lines:
        for kind, code in line.get("plugins", {}).items():
            name = f"{kind} {line[kind]}, {code.get('file') or code['package']}"
            brought.setdefault(name, set()).add(code["sha256"][:8])
    if not brought:
        return []
    words = [f"{name} (code {', '.join(sorted(codes))})" for name, codes in brought.items()]
    changed = any(len(codes) > 1 for codes in brought.values())
    told = " Rows of different code are different searches." if changed else ""
    return [f"From plug-ins: {'; '.join(words)}.{told}"]


def _hours(seconds: float) -> str:
    """Two digits, whatever they are."""
    return f"{float(f'{seconds / 3600:.2g}'):g}"


def _left_out(lines: list[Row]) -> list[str]:
    """What a group's table does not hold, and why."""
    said = []
    if any(not _none(x["gain_over_random"]) for x in lines):
        said.append(
            "Over random search: the test mean over that of a random search of the same space."
        )
    for line in lines:
        for cell, found in line["mrl_correlation"].items():
            words = "too few, or no differences" if found is None else Correlation(**found).words
            said.append(f"MRL against validation over random trials, {cell}: {words}.")
    left = [f"{x['family']} ({'; '.join(x['left_out'])})" for x in lines if x["left_out"]]
    if left:
        said.append(f"Left out: {'; '.join(left)}.")
    if lines[0]["apart"]:
        said.append(f"Ranked apart, never with these: {'; '.join(lines[0]['apart'])}.")
    return said


def to_markdown(board: pd.DataFrame) -> str:
    parts = []
    for lines in groups(board):
        table = as_text(lines)
        align = ["right" if column.right else "left" for column in table.columns]
        texts = [list(map(markdown, cells)) for cells in table.cells]
        frame = pd.DataFrame(texts, columns=list(map(markdown, table.titles)))
        text = frame.to_markdown(index=False, disable_numparse=True, colalign=align)
        shell = textwrap.indent(again(lines), "    ")
        parts += [f"### {markdown(heading(lines))}", text, markdown(caption(lines)), shell]
    return "\n\n".join(parts) + "\n"


def to_csv(board: pd.DataFrame) -> str:
    flat = board.copy()
    for key in [*NESTED, *(["plugins"] if "plugins" in board else [])]:
        flat[key] = [json.dumps(x, sort_keys=True) for x in flat[key]]
    return flat.to_csv(index=False, lineterminator="\n")


def to_json(board: pd.DataFrame) -> str:
    return json.dumps(board.to_dict("records"), indent=2, allow_nan=False)


def _none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _all(lines: list[Row], key: str) -> str:
    return "/".join(dict.fromkeys(str(x[key]) for x in lines if x[key] is not None))
