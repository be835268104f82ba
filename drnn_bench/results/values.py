"""What the values of a record may be: kinds of values, and how a value that is of none is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from drnn_bench.metrics.metric import MetricFacts
from drnn_bench.results.outcomes import unpack

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


def is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def _whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def one_of(*words: str) -> Kind:
    return Kind(" or ".join(words), lambda x: x in words)


def _matches(pattern: str, words: str) -> Kind:
    return Kind(words, lambda x: isinstance(x, str) and bool(re.fullmatch(pattern, x)))


NOTHING = Kind("null", lambda x: x is None)
TEXT = Kind("text", lambda x: isinstance(x, str))
WORD = _matches(r"[\w.-]{1,200}", "a word")
TIME = _matches(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a time such as 2026-01-31T12:00:00Z")
TRUTH = Kind("true or false", lambda x: isinstance(x, bool))
NUMBER = Kind("a number", is_number)
COUNT = Kind("a whole number from 0", lambda x: _whole(x) and x >= 0)
SIZE = Kind("a whole number above 0", lambda x: _whole(x) and x >= 1)
WHOLE = Kind("a whole number", _whole)
AMOUNT = Kind("a number from 0", lambda x: is_number(x) and x >= 0)
POSITIVE = Kind("a number above 0", lambda x: is_number(x) and x >= SMALLEST)
SHARE = Kind("a number from 0 to 1", lambda x: is_number(x) and 0 <= x <= 1)
LENGTH = NUMBER | one_of("inf")
PAIR = Kind(
    "a step and a value", lambda x: isinstance(x, list) and len(x) == 2 and all(map(is_number, x))
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
        and all(map(is_number, numbers))
        and (x["best"] is None or is_number(x["best"]))
        and (x["decimals"] is None or (_whole(x["decimals"]) and 0 <= x["decimals"] <= 20))
    )


METRIC_FACTS = Kind("facts of a metric", _are_metric_facts)


def difference(value: Any, kind: Any, where: str = "") -> str | None:
    """The first part of a value that is not of its kind, in words; None where all of it fits.
    `where` names the value."""
    if isinstance(kind, Kind):
        fits = kind.fits(value)
        return None if fits else f"{where} is {shown(value)}, should be {kind.words}"
    if isinstance(kind, list):
        if not isinstance(value, list):
            return f"{where} is {shown(value)}, should be a list"
        parts = ((f"{where}[{i}]", item, kind[0]) for i, item in enumerate(value))
    else:
        if not isinstance(value, dict):
            return f"{where or 'it'} is {shown(value)}, should be an object"
        lacking = [key for key in kind if key not in value and not key.endswith("?")]
        if lacking:
            return f"{f'{where} ' if where else ''}lacks {', '.join(lacking[:5])}"
        prefix = f"{where}." if where else ""
        named = ((key.removesuffix("?"), of) for key, of in kind.items())
        parts = ((f"{prefix}{key}", value[key], of) for key, of in named if key in value)
    return next(filter(None, (difference(item, of, place) for place, item, of in parts)), None)


def not_plain(row: dict[str, Any]) -> str | None:
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
                    return f"{shown(value)} is no text"
            elif isinstance(value, float):
                if not -LARGEST <= value <= LARGEST:  # NaN is not either
                    return f"{shown(value)} is no number that can be measured"
            elif isinstance(value, int) and not -LARGEST_WHOLE <= value <= LARGEST_WHOLE:
                return f"{shown(value)} is no number that can be measured"
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


def shown(value: Any) -> str:
    """A value as JSON, in few characters of one line."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        text = type(value).__name__
    return text if len(text) <= 40 else f"{text[:37]}..."
