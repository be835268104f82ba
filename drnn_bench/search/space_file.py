"""Search-space files: what they say, checked.

    family = "dilated_rnn"

    [space]
    cell = ["rnn", "gru", "lstm"]                      # choices
    depth = { low = 2, high = 12 }                     # whole numbers, both ends included
    fusion = { choices = [false, true], when = "start > 0" }
    learning_rate = { low = 3e-4, high = 1e-1, log = true }
    base = 2                                           # fixed

    [recipe]                                           # optional: see results/recipe.py
    optimizer = "rmsprop"

Width is never searched: the budget decides it. An option that is not named keeps its default.
"""

from __future__ import annotations

import contextlib
import math
import re
import tomllib
from pathlib import Path
from typing import Any

from drnn_bench.errors import UserError, nearest
from drnn_bench.models.architecture import at_most, option_types
from drnn_bench.models.names import FAMILIES
from drnn_bench.models.registry import TooFar, architecture_type, for_length, make_architecture
from drnn_bench.plugins import source_file
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.space import Condition, Entry, SearchSpace

LARGEST_FILE = 1_000_000  # bytes
SOME_LENGTH = 1_000  # steps, where a value is tried by itself


def default_path(family: str) -> Path:
    """The file that comes with drnn_bench, inside the wheel or at the root of a checkout; of a
    plug-in's family, the one beside the file that defines it."""
    if family not in FAMILIES:
        source = source_file(architecture_type(family))
        beside = source.with_name(f"{family}.toml")
        if not beside.is_file():
            raise UserError(
                f"family {family} has no search space: put {beside.name} beside {source}, "
                "or give --search-space"
            )
        return beside
    package = Path(__file__).parent.parent
    for folder in (package / "search_spaces", package.parent / "search_spaces"):
        if (folder / f"{family}.toml").is_file():
            return folder / f"{family}.toml"
    raise FileNotFoundError(f"search_spaces/{family}.toml is missing from the installation")


def read_space(path: Path | str) -> SearchSpace:
    """Raises UserError in one line: the file, the key, what is wrong and what would be right."""
    table = read_table(path)
    try:
        return make_space(table)
    except UserError as error:
        raise UserError(f"search space {path}: {error}") from None


def read_table(path: Path | str) -> dict[str, Any]:
    """The file as it is written; only `read_space` checks what it says, which takes the families'
    nets and so torch."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)  # /dev/zero has no end
        if len(text) > LARGEST_FILE:
            raise UserError(f"search space {path} is larger than any: {LARGEST_FILE:,} bytes")
        return tomllib.loads(text.decode())
    except FileNotFoundError:
        raise UserError(f"search space {path} does not exist") from None
    except OSError as error:
        raise UserError(f"search space {path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"search space {path} is no TOML: {error}") from None


def make_space(table: dict[str, Any]) -> SearchSpace:
    for key in table:
        if key not in ("family", "space", "recipe"):
            raise UserError(f"unknown key {key!r}: {nearest(key, ['family', 'space', 'recipe'])}")
    if not isinstance(table.get("family"), str):
        raise UserError('it must say its family: family = "dilated_rnn"')
    family, space = table["family"], table.get("space")
    kind = architecture_type(family)
    if not isinstance(space, dict) or "learning_rate" not in space:
        raise UserError("a [space] table with at least learning_rate is needed")
    # Drawn in the order of the config's fields, so that a file may list them in any order.
    types = {**option_types(kind), "learning_rate": float}
    for name in space:
        if name == "width":
            raise UserError("width is not searched: the budget decides it (--budget)")
        if name not in types:
            raise UserError(f"unknown key {name!r} in [space]: {nearest(name, list(types))}")
    entries = tuple(_entry(name, space[name], types) for name in types if name in space)
    for entry in entries:
        _check_values(family, entry)
    recipe = table.get("recipe", {})
    if not isinstance(recipe, dict):
        raise UserError("recipe must be a table: [recipe]")
    return SearchSpace(family, entries, Recipe.from_table(recipe), space)


def _check_values(family: str, entry: Entry) -> None:
    """Whether a net of the family may have each value, or the range's low end, by itself."""
    if entry.name == "learning_rate":
        return
    if not entry.choices:
        at_most(entry.name, entry.high)
    for value in entry.choices or (entry.low,):
        if value is True:  # may need other options beside it
            continue
        with contextlib.suppress(TooFar):  # beside the defaults; with fewer layers it may be fine
            options = for_length({entry.name: value}, SOME_LENGTH)
            make_architecture(family, input_size=1, output_size=1, width=4096, **options)


def _entry(name: str, given: Any, types: dict[str, Any]) -> Entry:
    kind = types[name]
    when = None
    if isinstance(given, dict):
        given = dict(given)
        if "when" in given:
            if name == "learning_rate":
                raise UserError("learning_rate is always drawn: no `when`")
            when = _condition(name, given.pop("when"), types)
        for key in given:
            if key not in ("low", "high", "log", "choices"):
                raise UserError(f"{name}: unknown key {key!r}: low, high, log, choices or when")
        if "choices" not in given:
            return _range(name, given, kind, when)
        if len(given) > 1:
            raise UserError(f"{name}: give either choices or low and high")
        given = given["choices"]
    choices = tuple(given) if isinstance(given, list) else (given,)
    if not choices:
        raise UserError(f"{name}: the list of choices is empty")
    for choice in choices:
        _check_type(name, choice, kind)
    if kind is float:
        choices = tuple(float(choice) for choice in choices)
    if name == "learning_rate" and min(choices) <= 0:
        raise UserError(f"learning_rate must be above 0, got {min(choices)}")
    return Entry(name, choices=choices, when=when)


def _range(name: str, given: dict[str, Any], kind: type, when: Condition | None) -> Entry:
    if kind not in (int, float):
        raise UserError(f"{name} takes choices, not a range")
    if not {"low", "high"} <= given.keys():
        raise UserError(f"{name}: a range needs low and high")
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise UserError(f"{name}: log is true or false, got {log!r}")
    low, high = given["low"], given["high"]
    for bound in (low, high):
        _check_type(name, bound, kind)
    low, high = kind(low), kind(high)
    if low > high:
        raise UserError(f"{name}: the range is empty, low {low} is above high {high}")
    if (log or name == "learning_rate") and low <= 0:
        raise UserError(f"{name}: low must be above 0 here, got {low}")
    if low == high:
        return Entry(name, choices=(low,), when=when)
    return Entry(name, low=low, high=high, log=log, when=when)


def _condition(name: str, text: Any, types: dict[str, Any]) -> Condition:
    order = list(types)
    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*", str(text))
    try:
        if match is None:
            raise tomllib.TOMLDecodeError
        value = tomllib.loads(f"v = {match[3]}")["v"]
    except tomllib.TOMLDecodeError:
        raise UserError(f'{name}: when = {text!r} should look like "start > 0"') from None
    if match[1] not in order[: order.index(name)]:
        raise UserError(
            f"{name}: when looks at {match[1]!r}, which must be one of "
            f"{', '.join(order[: order.index(name)]) or 'none (it is drawn first)'}"
        )
    _check_type(f"{name}: when = {text!r}: {match[1]}", value, types[match[1]])
    return Condition(match[1], match[2], value)


def _check_type(name: str, value: Any, kind: Any) -> None:
    allowed = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}.get(kind, ())
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        words = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        raise UserError(f"{name}: {value!r} should be {words.get(kind, 'left out')}")
    if kind in (int, float) and not math.isfinite(value):
        raise UserError(f"{name}: {value} is no value")
