"""Options of `bench run` in a file: `--config` reads them, `--save-config` writes them.

A file is TOML, an option a line, by the option's name without its dashes:

    task = "pixel_mnist"
    family = ["dilated_rnn", "lstm"]
    trials = 100

What is typed counts before what a file says.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from drnn_bench.errors import UserError, nearest

NOT_SAVED = ("config", "save_config_to", "dry_run", "yes", "as_json")

# What an option takes -> of which types a file's value may be, and in words.
KINDS = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}


def use_config(context: typer.Context, path: str | None) -> str | None:
    """Makes a file's values the defaults of the command. Raises UserError naming what is wrong."""
    if path is None or context.resilient_parsing:
        return path
    options = {p.name: p for p in context.command.params if p.name not in ("help", *NOT_SAVED)}
    values: dict[str, Any] = {}
    for key, value in _read(path).items():
        name = key.replace("-", "_")
        if name not in options:
            known = [other.replace("_", "-") for other in options if other]
            raise UserError(f"config {path}: unknown option {key!r}: {nearest(key, known)}")
        values[name] = _value(path, key, value, options[name])
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _read(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"config {path} cannot be read: {reason}") from None


def _value(path: str, key: str, value: Any, option: Any) -> Any:
    """A value of the kind that the option takes: text, whole numbers, numbers, switches, or lists
    of text."""
    if option.multiple:
        values = value if isinstance(value, list) else [value]
        if all(isinstance(x, str | int) and not isinstance(x, bool) for x in values):
            return [str(x) for x in values]
        raise UserError(f"config {path}: {key} is a list of words, got {value!r}")
    kind, name = KINDS.get(option.type_descriptor.annotation, ((str,), "a word"))
    if isinstance(value, bool) != (kind == (bool,)) or not isinstance(value, kind):
        raise UserError(f"config {path}: {key} is {name}, got {value!r}")
    return value


def typed_options(context: typer.Context) -> dict[str, Any]:
    """The options that were typed, or came from a file, by their names."""
    chosen = {}
    for parameter in context.command.params:
        name = parameter.name
        if name is None or name in ("help", *NOT_SAVED):
            continue
        source = context.get_parameter_source(name)
        if source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP"):
            chosen[name.replace("_", "-")] = context.params[name]
    return chosen


def save_config(path: str, options: Mapping[str, Any]) -> None:
    """Writes options as a file that `--config` reads. Raises UserError where one is there
    already: it may be somebody's only copy."""
    lines = [f"{key} = {_toml(value)}\n" for key, value in options.items()]
    try:
        with Path(path).open("x", encoding="utf-8") as file:
            file.write("".join(lines))
    except FileExistsError:
        raise UserError(f"--save-config {path}: it is there already: name a new file") from None
    except OSError as error:
        raise UserError(f"--save-config {path}: {error.strerror}") from None


def _toml(value: Any) -> str:
    """JSON, which TOML reads but for one control character."""
    plain = list(value) if isinstance(value, list | tuple) else value
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")
