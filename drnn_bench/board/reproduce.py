"""The commands that make a board again, and the search-space files that they read."""

from __future__ import annotations

import json
import re
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.space_file import default_path, read_space
from drnn_bench.system.escape import file_name, shell
from drnn_bench.tasks.spec import join_spec, split_spec

Row = dict[str, Any]


def commands(lines: list[Row]) -> list[str]:
    """One for each sampler, pruner and seed, and for each line with a search space of its own."""
    kinds: dict[tuple, list[Row]] = {}
    for line in lines:
        own = line["study"] if _own_space(line) else ""
        key = (line["sampler"], line["pruner"], line["search_seed"], _bench(line), own)
        kinds.setdefault(key, []).append(line)
    return [_command(kind) for kind in kinds.values()]


def again(lines: list[Row]) -> str:
    """The same for a shell: files that the commands read are written first."""
    written = [
        f"cat > {shell(_file(line))} <<'END'\n{_toml(line)}END"
        for line in lines
        if _own_space(line)
    ]
    return "\n".join([*written, *commands(lines)])


def _command(lines: list[Row]) -> str:
    first = lines[0]
    words = [*_bench(first), "run", "--task", _task(first["task"])]
    if _own_space(first):
        words += ["--search-space", _file(first)]
    else:
        for family in sorted({x["family"] for x in lines}):
            words += ["--family", family]
    words += ["--budget", first["budget"], "--steps", first["steps"]]
    words += ["--trials", max(x["trials"]["complete"] + x["trials"]["pruned"] for x in lines)]
    words += ["--seeds", max(x["n"] + x["diverged_finals"] for x in lines) or 1]
    words += ["--sampler", first["sampler"], "--pruner", first["pruner"]]
    if first["warm"]:
        words += ["--warm-start", first["warm"]]
    return shell(*words, "--seed", first["search_seed"])


def _task(key: str) -> str:
    """The key for a command line: a record names a text or data set, not where it lies."""
    name, pairs = split_spec(key)
    named = [("path" if option in ("text", "data") else option, text) for option, text in pairs]
    return join_spec(name, named)


def _bench(line: Row) -> tuple[str, ...]:
    """The command's first words: the files of the plug-ins that a line needs come before `run`."""
    files = {code["file"] for code in line.get("plugins", {}).values() if "file" in code}
    return ("bench", *(word for file in sorted(files) for word in ("--plugin", file)))


def _own_space(line: Row) -> bool:
    """Whether a line's search space is another than the one that comes with its family."""
    try:
        shipped = read_space(default_path(line["family"]))
    except UserError:  # a family of a plug-in that is not here
        return True
    return line["space"] != shipped.table or line["recipe"] != shipped.recipe.table


def _file(line: Row) -> str:
    return f"{file_name(line['family'])}-{file_name(line['study'])}.toml"


def _toml(line: Row) -> str:
    usual = Recipe().table
    recipe = {key: value for key, value in line["recipe"].items() if value != usual.get(key)}
    parts = [f"family = {json.dumps(line['family'])}\n", "[space]\n", _entries(line["space"])]
    return "".join(parts + (["[recipe]\n", _entries(recipe)] if recipe else []))


def _entries(table: Row) -> str:
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _text(key)


def _value(value: Any) -> str:
    """Numbers, words and lists are written in TOML as in JSON; infinity is a word of a record."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str) and value != "inf":
        return _text(value)
    return "inf" if value == "inf" else json.dumps(value)


def _text(text: str) -> str:
    """A TOML string, which has no surrogate pairs and no bare control characters."""
    return re.sub(
        r"[\x7f-\x9f]",
        lambda found: f"\\u{ord(found[0]):04x}",
        json.dumps(text, ensure_ascii=False),
    )
