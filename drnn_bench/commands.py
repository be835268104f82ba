"""The commands that make a board again, and the search-space files that they read."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.recipe import Recipe
from drnn_bench.search_space import default_path, read_space

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
        f"cat > {_file(line)} <<'END'\n{_toml(line)}END" for line in lines if _own_space(line)
    ]
    return "\n".join([*written, *commands(lines)])


def _command(lines: list[Row]) -> str:
    first = lines[0]
    families = {x["family"] for x in lines}
    # A record names a text or data set, not where it lies.
    task = re.sub(r"\b(text|data)=", "path=", first["task"])
    words = [f"{_bench(first)} run", f"--task {task}"]
    if _own_space(first):
        words.append(f"--search-space {_file(first)}")
    else:
        words += [f"--family {family}" for family in sorted(families)]
    words.append(f"--budget {first['budget']} --steps {first['steps']}")
    trials = max(x["trials"]["complete"] + x["trials"]["pruned"] for x in lines)
    words.append(
        f"--trials {trials} --seeds {max(x['n'] + x['diverged_finals'] for x in lines) or 1}"
    )
    words.append(f"--sampler {first['sampler']} --pruner {first['pruner']}")
    if first["warm"]:
        words.append(f"--warm-start {first['warm']}")
    words.append(f"--seed {first['search_seed']}")
    return " ".join(words)


def _bench(line: Row) -> str:
    """The command's first words: the files of the plug-ins that a line needs come before `run`."""
    files = {code["file"] for code in line.get("plugins", {}).values() if "file" in code}
    return " ".join(["bench", *(f"--plugin {shlex.quote(file)}" for file in sorted(files))])


def _own_space(line: Row) -> bool:
    """Whether a line's search space is another than the one that comes with its family."""
    try:
        shipped = read_space(default_path(line["family"]))
    except UserError:  # a family of a plug-in that is not here
        return True
    return line["space"] != shipped.table or line["recipe"] != shipped.recipe.table


def _file(line: Row) -> str:
    return f"{line['family']}-{line['study']}.toml"


def _toml(line: Row) -> str:
    usual = Recipe().table
    recipe = {key: value for key, value in line["recipe"].items() if value != usual.get(key)}
    parts = [f"family = {json.dumps(line['family'])}\n", "[space]\n", _entries(line["space"])]
    return "".join(parts + (["[recipe]\n", _entries(recipe)] if recipe else []))


def _entries(table: Row) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: Any) -> str:
    """Numbers, words and lists are written in TOML as in JSON; infinity is a word of a record."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    return "inf" if value == "inf" else json.dumps(value)
