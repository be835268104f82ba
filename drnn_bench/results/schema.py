"""The schema of result rows, as data: for each role, its keys and what their values may be.

A row is outside input: people merge, edit and cut files. What is computed from rows relies on this
schema and on nothing else. Keys that are not listed may hold any JSON value.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.metrics.metric import MetricFacts
from drnn_bench.metrics.names import METRICS
from drnn_bench.metrics.registry import metric_type
from drnn_bench.results.outcomes import unpack
from drnn_bench.results.recipe import Recipe

Row = dict[str, Any]

LARGEST, SMALLEST, LARGEST_WHOLE = 1e100, 1e-100, 2**53  # squares of them are still numbers
DEEPEST, LONGEST = 12, 100_000  # nesting of a row, and characters of a text in it
MANY = 4096  # layers, modules or doublings of a net: the description of more would never end


@dataclass(frozen=True)
class Kind:
    """What a value may be: `words` say it, after "should be"."""

    words: str
    fits: Callable[[Any], bool]

    def __or__(self, other: Kind) -> Kind:
        return Kind(f"{self.words} or {other.words}", lambda x: self.fits(x) or other.fits(x))


def _number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def _whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _one_of(*words: str) -> Kind:
    return Kind(" or ".join(words), lambda x: x in words)


def _matches(pattern: str, words: str) -> Kind:
    return Kind(words, lambda x: isinstance(x, str) and bool(re.fullmatch(pattern, x)))


NOTHING = Kind("null", lambda x: x is None)
TEXT = Kind("text", lambda x: isinstance(x, str))
WORD = _matches(r"[\w.-]{1,200}", "a word")
TIME = _matches(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a time such as 2026-01-31T12:00:00Z")
TRUTH = Kind("true or false", lambda x: isinstance(x, bool))
NUMBER = Kind("a number", _number)
COUNT = Kind("a whole number from 0", lambda x: _whole(x) and x >= 0)
SIZE = Kind("a whole number above 0", lambda x: _whole(x) and x >= 1)
WHOLE = Kind("a whole number", _whole)
AMOUNT = Kind("a number from 0", lambda x: _number(x) and x >= 0)
POSITIVE = Kind("a number above 0", lambda x: _number(x) and x >= SMALLEST)
SHARE = Kind("a number from 0 to 1", lambda x: _number(x) and 0 <= x <= 1)
LENGTH = NUMBER | _one_of("inf")
PAIR = Kind(
    "a step and a value", lambda x: isinstance(x, list) and len(x) == 2 and all(map(_number, x))
)
TABLE = Kind("an object", lambda x: isinstance(x, dict))
LENGTHS = Kind(
    "lengths by span", lambda x: isinstance(x, dict) and all(map(LENGTH.fits, x.values()))
)
NUMBERS = Kind(
    "numbers by name", lambda x: isinstance(x, dict) and all(map(NUMBER.fits, x.values()))
)
SHARES = Kind("shares by name", lambda x: isinstance(x, dict) and all(map(SHARE.fits, x.values())))
_DEEP = ("depth", "modules", "start")


def _is_config(x: Any) -> bool:
    return isinstance(x, dict) and all(
        isinstance(v, bool | str | float)
        or (_whole(v) and abs(v) <= (MANY if k in _DEEP else LARGEST_WHOLE))
        or (isinstance(v, list) and len(v) <= MANY and all(map(_whole, v)))
        for k, v in x.items()
    )


CONFIG = Kind("a net's options", _is_config)


def _is_codes(x: Any) -> bool:
    return isinstance(x, dict) and all(
        isinstance(code, dict)
        and code.keys() in ({"file", "sha256"}, {"package", "sha256"})
        and all(isinstance(v, str) for v in code.values())
        for code in x.values()
    )


CODES = Kind("the code of plug-ins", _is_codes)


def _are_outcomes(x: Any) -> bool:
    try:
        unpack(x)
    except (ValueError, TypeError, KeyError):
        return False
    return True


OUTCOMES = Kind("packed outcomes", _are_outcomes)


def _are_metric_facts(x: Any) -> bool:
    known = {field.name for field in fields(MetricFacts)}
    if not isinstance(x, dict) or x.keys() != known:
        return False
    numbers = (x["scale"], x["margin"])
    return (
        isinstance(x["unit"], str)
        and x["direction"] in ("max", "min")
        and all(map(_number, numbers))
        and (x["best"] is None or _number(x["best"]))
        and (x["decimals"] is None or (_whole(x["decimals"]) and 0 <= x["decimals"] <= 20))
    )


METRIC_FACTS = Kind("facts of a metric", _are_metric_facts)

# A dict is an object of these keys, a list of one kind is a list of it, `key?` may be missing.
EVERY: Row = {
    "id": WORD, "study": WORD, "task": TEXT, "task_version": WHOLE, "data_hash": TEXT,
    "family": WORD, "config": CONFIG, "architecture": TEXT, "budget": SIZE, "width": COUNT,
    "parameters": COUNT, "seed": WHOLE, "steps": SIZE, "learning_rate": POSITIVE,
    "recipe": TABLE, "state": TEXT, "metric": TEXT, "direction": _one_of("max", "min"),
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
        "session": WORD, "machine": _one_of("idle", "busy"), "train_per_s": POSITIVE,
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
    wrong = _not_plain(row)
    if wrong:
        return wrong
    role, state = row.get("role"), row.get("state")
    if not isinstance(role, str) or role not in {known for known, _ in ROLES}:
        return f"its role is {_shown(role)}, which is unknown here"
    wrong = difference(row, EVERY)
    if wrong is None:
        keys = ROLES.get((role, str(state)))
        unknown = f"its state is {_shown(state)}, which is unknown here"
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
    return Kind(" ".join(["a number", *ends]), lambda x: _number(x) and low <= x <= high)


def difference(value: Any, kind: Any, where: str = "") -> str | None:
    """The first part of a value that is not of its kind, in words; None where all of it fits.
    `where` names the value."""
    if isinstance(kind, Kind):
        fits = kind.fits(value)
        return None if fits else f"{where} is {_shown(value)}, should be {kind.words}"
    if isinstance(kind, list):
        if not isinstance(value, list):
            return f"{where} is {_shown(value)}, should be a list"
        parts = ((f"{where}[{i}]", item, kind[0]) for i, item in enumerate(value))
    else:
        if not isinstance(value, dict):
            return f"{where or 'it'} is {_shown(value)}, should be an object"
        lacking = [key for key in kind if key not in value and not key.endswith("?")]
        if lacking:
            return f"{f'{where} ' if where else ''}lacks {', '.join(lacking[:5])}"
        prefix = f"{where}." if where else ""
        named = ((key.removesuffix("?"), of) for key, of in kind.items())
        parts = ((f"{prefix}{key}", value[key], of) for key, of in named if key in value)
    return next(filter(None, (difference(item, of, place) for place, item, of in parts)), None)


def _not_plain(row: Row) -> str | None:
    """A fault that a value of any key may have, in words: a number that overflows when it is added,
    text that cannot be printed, too deep a nesting. None where there is none."""
    level: list[Any] = [row]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str):
                if len(value) > LONGEST or "\0" in value or (not value.isascii() and _lone(value)):
                    return f"{_shown(value)} is no text"
            elif isinstance(value, float):
                if not -LARGEST <= value <= LARGEST:  # NaN is not either
                    return f"{_shown(value)} is no number that can be measured"
            elif isinstance(value, int) and not -LARGEST_WHOLE <= value <= LARGEST_WHOLE:
                return f"{_shown(value)} is no number that can be measured"
        level = inner
        if not level:
            return None
    return "it is nested too deeply"


def _lone(text: str) -> bool:
    """Whether a text holds a lone surrogate, which no encoding can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _shown(value: Any) -> str:
    """A value as JSON, in few characters of one line."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 40 else f"{text[:37]}..."


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
    words = f"{key} is {_shown(row[key])}, most rows of {where} have {_shown(other)}"
    return f"{row['role']}: {words}"
