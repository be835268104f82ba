"""The commands that make a board again, and the search-space files that they read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from drnn_bench.errors import UserError
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.space_file import default_path, read_table
from drnn_bench.system.escape import file_name, shell
from drnn_bench.tasks.spec import join_spec, split_spec


def commands(lines: Sequence[BoardLine]) -> list[str]:
    """`bench run` commands that make the lines again: one for each sampler, pruner and run of
    seeds, and one for each line with a search space of its own."""
    kinds: dict[tuple, list[BoardLine]] = {}
    for line in lines:
        own = line.study if own_space(line) else ""
        for seeds in _runs(line.search_seeds or [line.search_seed]):
            key = (line.sampler, line.pruner, *seeds, bench_words(line), own)
            kinds.setdefault(key, []).append(line)
    return [_command(kind, *key[2:4]) for key, kind in kinds.items()]


def again(lines: Sequence[BoardLine]) -> str:
    """The commands as a shell script that first writes the files that they read."""
    files = [
        f"cat > {shell(_file(line))} <<'END'\n{_toml(line)}END" for line in lines if own_space(line)
    ]
    return "\n".join([*files, *commands(lines)])


def _command(lines: list[BoardLine], seed: int, searches: int) -> str:
    first = lines[0]
    words = [*bench_words(first), "run", "--task", _task(first.task)]
    if own_space(first):
        words += ["--search-space", _file(first)]
    else:
        for family in sorted({x.family for x in lines}):
            words += ["--family", family]
    words += ["--budget", first.budget, "--steps", first.steps]
    words += ["--trials", max(x.done for x in lines)]
    words += ["--seeds", max(map(_seeds, lines)) or 1]
    words += ["--sampler", first.sampler, "--pruner", first.pruner]
    if first.warm:
        words += ["--warm-start", first.warm]
    if searches > 1:
        words += ["--searches", searches]
    return shell(*words, "--seed", seed)


def _runs(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """The first seed and the length of each run of seeds that follow one another."""
    starts = [seed for seed in sorted(seeds) if seed - 1 not in seeds]
    return [(start, next(n for n in count(1) if start + n not in seeds)) for start in starts]


def _seeds(line: BoardLine) -> int:
    """How many finals were trained. Since protocol 2 those that diverged are among the n."""
    diverged = line.diverged_finals if line.protocol == 1 else 0
    return -(-line.n // line.searches) + diverged


def _task(key: str) -> str:
    """The task for a command line: its key names a text or data set, a command gives its path."""
    name, pairs = split_spec(key)
    named = [("path" if option in ("text", "data") else option, text) for option, text in pairs]
    return join_spec(name, named)


def bench_words(line: BoardLine) -> tuple[str, ...]:
    """The command's first words: the files of the plug-ins that a line needs come before `run`."""
    files = {code["file"] for code in line.code.values() if "file" in code}
    return ("bench", *(word for file in sorted(files) for word in ("--plugin", file)))


def own_space(line: BoardLine) -> bool:
    """Whether a line's search space or recipe differs from those that come with its family."""
    try:
        shipped = read_table(default_path(line.family))
    except UserError:  # a family of a plug-in that is not here
        return True
    recipe = Recipe.from_table(shipped.get("recipe", {}))
    return line.space != shipped.get("space") or line.recipe != recipe.table


def _file(line: BoardLine) -> str:
    return f"{file_name(line.family)}-{file_name(line.study)}.toml"


def _toml(line: BoardLine) -> str:
    usual = Recipe().table
    recipe = {key: value for key, value in line.recipe.items() if value != usual.get(key)}
    parts = [f"family = {json.dumps(line.family)}\n", "[space]\n", _entries(line.space)]
    return "".join(parts + (["[recipe]\n", _entries(recipe)] if recipe else []))


def _entries(table: dict[str, Any]) -> str:
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _text(key)


def _value(value: Any) -> str:
    """TOML writes numbers, words and lists as JSON does. Infinity is the word `inf` in a record."""
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
        lambda match: f"\\u{ord(match[0]):04x}",
        json.dumps(text, ensure_ascii=False),
    )
