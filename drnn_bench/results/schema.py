"""The schema of result rows, as data: for each role, its keys and what their values may be.

A row is outside input: people merge, edit and cut files. What is computed from rows relies on this
schema and on nothing else. Keys that are not listed may hold any JSON value.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.metrics.names import METRICS
from drnn_bench.metrics.registry import metric_type
from drnn_bench.results.recipe import Recipe
from drnn_bench.results.values import (
    AMOUNT,
    CODES,
    CONFIG,
    COUNT,
    LENGTH,
    LENGTHS,
    METRIC_FACTS,
    NOTHING,
    NUMBER,
    NUMBERS,
    OUTCOMES,
    PAIR,
    POSITIVE,
    SHARE,
    SHARES,
    SIZE,
    TABLE,
    TEXT,
    TIME,
    TRUTH,
    WHOLE,
    WORD,
    Kind,
    difference,
    is_number,
    not_plain,
    one_of,
    shown,
)  # fmt: skip

Row = dict[str, Any]

# A dict is an object of these keys, a list of one kind is a list of it, `key?` may be missing.
EVERY: Row = {
    "id": WORD, "study": WORD, "task": TEXT, "task_version": WHOLE, "data_hash": TEXT,
    "family": WORD, "config": CONFIG, "architecture": TEXT, "budget": SIZE, "width": COUNT,
    "parameters": COUNT, "seed": WHOLE, "steps": SIZE, "learning_rate": POSITIVE,
    "recipe": TABLE, "state": TEXT, "metric": TEXT, "direction": one_of("max", "min"),
    "metric_facts?": METRIC_FACTS,
    "guessing?": NUMBER | NOTHING, "margin?": AMOUNT, "protocol?": SIZE, "sampler": TEXT,
    "solved_at?": NUMBER | NOTHING, "target?": NUMBER | NOTHING,
    "pruner": TEXT, "search_seed": WHOLE,
    "mrl": LENGTH | NOTHING, "mrl_horizon": COUNT, "reach": LENGTH | NOTHING,
    "path_lengths?": LENGTHS, "recurrent_edges_per_node": NUMBER | NOTHING,
    "sequential_steps": NUMBER | NOTHING,
    "macs_per_step?": AMOUNT | NOTHING, "state_bytes?": COUNT | NOTHING, "weight_bytes?": COUNT,
    "started": TIME, "harness_version": TEXT, "git_commit": TEXT | NOTHING,
    "git_dirty": TRUTH | NOTHING, "plugins?": CODES, "python": TEXT, "torch": TEXT, "optuna": TEXT,
    "processor": TEXT, "device": TEXT, "threads": SIZE, "dtype": TEXT,
    "numpy?": TEXT, "numba?": TEXT, "cpu?": TEXT, "simd?": TEXT, "workers?": COUNT,
}  # fmt: skip
ROLES: dict[tuple[str, str], Row] = {
    ("study", "complete"): {
        "trials": dict.fromkeys(
            ("complete", "pruned", "diverged", "failed", "infeasible", "duplicate"), COUNT
        ),
        "best": {
            "value": NUMBER, "config": CONFIG, "learning_rate": POSITIVE, "on_edge": [TEXT],
            "warm?": TRUTH,
        },
        "warm?": COUNT,
        "startup_mean": NUMBER | NOTHING,
        "search_seconds": AMOUNT,
        "complete": [{"index": COUNT, "value": NUMBER, "mrl": LENGTH, "config": CONFIG}],
        "history?": [
            {
                "index": COUNT, "value": NUMBER | NOTHING, "seconds": AMOUNT | NOTHING,
                "config?": CONFIG | NOTHING, "learning_rate?": POSITIVE | NOTHING, "curve?": [PAIR],
            }
        ],
        "importance?": SHARES | NOTHING,
        "candidates?": [
            {"value": NUMBER, "config": CONFIG, "learning_rate": POSITIVE,
             "again?": [NUMBER | NOTHING]}
        ],
        "candidate_seconds?": AMOUNT,
        "ended?": TEXT | NOTHING,
        "space": TABLE,
        "spec": {"space": TABLE},
    },
    ("candidate", "complete"): {"validation": NUMBER, "train_seconds": AMOUNT},
    ("candidate", "diverged"): {"train_seconds": AMOUNT},
    ("final", "complete"): {
        "validation": NUMBER, "test": NUMBER, "test_accuracy?": SHARE, "test_size": SIZE,
        "best_step": COUNT, "train_seconds": AMOUNT, "curve?": [PAIR], "weights?": WORD,
        "outcomes?": OUTCOMES, "metrics?": NUMBERS,
    },
    ("final", "diverged"): {},
    ("final", "failed"): {"reason": TEXT},
    ("speed", "complete"): {
        "session": WORD, "machine": one_of("idle", "busy"), "train_per_s": POSITIVE,
        "infer_per_s": POSITIVE,
        **dict.fromkeys(("latency_ms?", "stream_us?", "peak_memory_mb?"), AMOUNT | NOTHING),
        **dict.fromkeys(("train_all_per_s?", "infer_all_per_s?"), POSITIVE | NOTHING),
        "reference?": {
            "family": WORD, "architecture": TEXT, "train_per_s": POSITIVE, "infer_per_s": POSITIVE,
        },
    },
}  # fmt: skip


def fault(row: Row) -> str | None:
    """What is wrong with a row, in words; None where nothing is."""
    wrong = not_plain(row)
    if wrong:
        return wrong
    role, state = row.get("role"), row.get("state")
    if not isinstance(role, str) or role not in {known for known, _ in ROLES}:
        return f"its role is {shown(role)}, which is unknown here"
    wrong = difference(row, EVERY)
    if wrong is None:
        keys = ROLES.get((role, str(state)))
        unknown = f"its state is {shown(state)}, which is unknown here"
        wrong = unknown if keys is None else difference(row, keys)
    if wrong is None and (role, state) == ("final", "complete") and row["metric"] in METRICS:
        wrong = difference(row, dict.fromkeys(("validation", "test"), _value_of(row["metric"])))
    if wrong is None:
        try:
            Recipe.from_json(row["recipe"])
        except UserError as error:
            wrong = str(error)
    return wrong and f"{role}: {wrong}"


def _value_of(metric: str) -> Kind:
    """What a value of a metric of drnn_bench may be."""
    low, high = metric_type(metric).bounds
    ends = [f"from {low:g}"] * math.isfinite(low) + [f"to {high:g}"] * math.isfinite(high)
    return Kind(" ".join(["a number", *ends]), lambda x: is_number(x) and low <= x <= high)


# -- rows together -----------------------------------------------------------------------------

# Rows that are alike in the first keys must be alike in the second.
AGREE = (
    (("study",), ("task", "task_version", "data_hash", "family", "budget", "steps")),
    (("task", "task_version"), ("metric", "direction")),
)


def disagreeing(rows: list[Row]) -> list[tuple[Row, str]]:
    """Rows that contradict most rows of the same study or task, with words that say how."""
    wrong: list[tuple[Row, str]] = []
    for by, on in AGREE:
        groups: dict[tuple, list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(row[key] for key in by), []).append(row)
        rows = []
        for group in groups.values():
            values = [tuple(row[key] for key in on) for row in group]
            usual = Counter(values).most_common(1)[0][0]
            for row, value in zip(group, values, strict=True):
                if value == usual:
                    rows.append(row)
                else:
                    wrong.append((row, _disagreement(row, by, on, usual)))
    return wrong


def _disagreement(row: Row, by: tuple[str, ...], on: tuple[str, ...], usual: tuple) -> str:
    key, other = next((k, u) for k, u in zip(on, usual, strict=True) if row[k] != u)
    where = " ".join(f"{row[k]}" for k in by)
    words = f"{key} is {shown(row[key])}, most rows of {where} have {shown(other)}"
    return f"{row['role']}: {words}"
