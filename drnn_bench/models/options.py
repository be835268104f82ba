"""`key=value` words of the command line -> a network's options."""

from __future__ import annotations

from typing import Any

from drnn_bench.errors import UserError, nearest
from drnn_bench.models.architecture import option_types
from drnn_bench.models.registry import architecture_type


def parse_options(family: str, words: list[str]) -> dict[str, Any]:
    """Options, width and sizes of a family. Raises UserError naming the word that is wrong."""
    sizes = {"width": tuple, "input_size": int, "output_size": int}
    types = {**option_types(architecture_type(family)), **sizes}
    options: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not text:
            raise UserError(f"{word!r} should be key=value, such as {next(iter(types))}=...")
        if key not in types:
            raise UserError(f"{family} has no option {key!r}: {nearest(key, list(types))}")
        options[key] = _read(key, text, types[key])
    return options


def _read(key: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False, "on": True, "off": False}[text.lower()]
        if kind in (int, float, str):
            return kind(text)
        values = tuple(int(part) for part in text.split(","))
    except (ValueError, KeyError):
        names = {bool: "true or false", int: "a whole number", float: "a number"}
        raise UserError(f"{key}={text}: should be {names.get(kind, '4 or 4,8,16')}") from None
    return values[0] if key == "width" and len(values) == 1 else values
