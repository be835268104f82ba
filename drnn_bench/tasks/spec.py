"""A task in one word, as `--task` and a record have it: NAME, or NAME:key=value,key=value.

A value with a comma is written in double quotes, as a JSON string: own:path="com,ma.csv",target=y.
So is one that begins with a double quote, is empty, or has control characters. What is written here
is read back as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from drnn_bench.errors import UserError

_STRING = json.JSONDecoder()
_QUOTED = re.compile(r'[^=,"]*="')


def split_spec(spec: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The name, and each option with its text; None where it has no `=`.

    Raises UserError where a quoted value does not end.
    """
    name, _, rest = spec.partition(":")
    pairs: list[tuple[str, str | None]] = []
    at = 0
    while at < len(rest):
        if _QUOTED.match(rest, at):
            key = rest[at : rest.index("=", at)]
            value, at = _quoted(name, rest, at + len(key) + 1)
            pairs.append((key, value))
        else:
            word, _, _ = rest[at:].partition(",")
            at += len(word)
            key, equals, value = word.partition("=")
            if word:
                pairs.append((key, value if equals else None))
        at += 1  # the comma
    return name, pairs


def _quoted(name: str, rest: str, at: int) -> tuple[str, int]:
    """A JSON string that begins at a place, and the place after it."""
    try:
        value, end = _STRING.raw_decode(rest, at)
    except ValueError:
        value, end = "", -1
    if end != len(rest) and rest[end : end + 1] != ",":
        raise UserError(
            f'task {name}: {rest[at:]}: a value in double quotes ends with " before a comma or '
            r"the end, and has \" and \\ for a quote and a backslash"
        )
    return value, end


def join_spec(name: str, pairs: Iterable[tuple[str, Any]]) -> str:
    """`split_spec` backwards."""
    words = [key if value is None else f"{key}={_written(value)}" for key, value in pairs]
    return f"{name}:{','.join(words)}" if words else name


def _written(value: Any) -> str:
    text = str(value)
    plain = text and not text.startswith('"') and not re.search("[,\x00-\x1f]", text)
    return text if plain else json.dumps(text, ensure_ascii=False)
