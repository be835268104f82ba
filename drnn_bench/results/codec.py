"""Values of Python <-> values of JSON, which has neither infinity nor tuples."""

from __future__ import annotations

import math
from typing import Any


def to_json(value: Any) -> Any:
    """Infinity becomes the string `inf`, a tuple a list; also inside dicts, lists and tuples."""
    if isinstance(value, dict):
        return {key: to_json(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return "inf" if isinstance(value, float) and value == math.inf else value


def from_json(value: Any) -> Any:
    """The string `inf` becomes infinity, a list a tuple; also inside dicts and lists."""
    if isinstance(value, dict):
        return {key: from_json(v) for key, v in value.items()}
    if isinstance(value, list):
        return tuple(from_json(v) for v in value)
    return math.inf if value == "inf" else value
