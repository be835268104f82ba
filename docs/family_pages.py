"""A page for each family: docs/families/NAME.md, its drawing, and the index of all.

What a person wrote stands in docs/families/text/NAME.md: an introduction, and sections. The rest is
taken from the code and the published boards: the drawing of the family's edges, its options and
search space, what a net of it costs, and where it ranks.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from family_costs import costs, edges
from family_examples import EXAMPLES, STEPS
from published import boards

from drnn_bench.board.cells import rank_text, result_with_unit
from drnn_bench.board.renderings import markdown_table
from drnn_bench.board.standing import Standing, standing
from drnn_bench.models.architecture import Architecture, option_types
from drnn_bench.models.names import FAMILIES, GROUPS
from drnn_bench.models.registry import architecture_type, make_architecture
from drnn_bench.report.drawing import alone, draw, levels
from drnn_bench.results.board_line import BoardLine
from drnn_bench.search.space import Entry
from drnn_bench.search.space_file import default_path, read_space

DOCS = Path(__file__).resolve().parent
INDEX = """
# Families

A family is a kind of net: how its layers are connected, and what they compute. Each page has a
drawing of the connections, the equations, the source, the options and what is searched of them,
what a net costs, and where the family ranks on the published boards.
[which-net.md](../which-net.md) has the same boards by task, with their verdicts.
"""
MAY = """
The last column counts the published boards on which the family stands beside others, and those on
which its rank may be 1. A board speaks for its task, its budget and its number of training steps
only.
"""
BOARDS = """
A rank such as 1–7 says which ranks it may hold; `±` is half of the 95 % interval over fresh seeds
([how to read a board](../board.md)). The last column is the verdict of that board.
"""
# An option in words; every option of every family is here.
MEANING = {
    "cell": "what a layer computes at a step (`bench ls cells`)",
    "base": "the factor by which dilation, skip or period grows from one to the next",
    "start": "the first dilation is `base` to this power",
    "depth": "layers, or blocks",
    "fusion": "a last convolution over as many steps as the first dilation",
    "dilations": "the dilation of each layer, in place of `base`, `start` and `depth`",
    "init": "how the weights begin",
    "memory": "the longest memory with which `init=chrono` begins, in steps; none: the sequence's "
    "length",
    "skip": "how far back the second edge of the lowest layer goes, in steps",
    "kernel": "taps of a convolution",
    "dropout": "the share of activations that training drops",
    "modules": "how many modules there are",
    "states": "states of a channel; those of s4d and lru are complex",
    "expand": "channels inside a block for each channel of the width",
    "r_min": "the smallest radius with which an eigenvalue begins",
    "r_max": "the largest radius with which an eigenvalue begins",
    "max_phase": "the largest phase with which an eigenvalue begins, in radians",
    "heads": "heads of attention",
    "ratio": "hidden units of the MLP for each channel",
    "window": "steps that a step attends to, itself among them; none: all steps so far",
    "embedding": "size of a learned vector for each input symbol; none: no table",
}


def made() -> dict[str, Callable[[], str]]:
    """What is made, by its place in docs/."""
    files: dict[str, Callable[[], str]] = {"families/README.md": index}
    for family in FAMILIES:
        files[f"families/{family}.md"] = functools.partial(page, family)
        files[f"families/figures/{family}.svg"] = functools.partial(drawing, family)
    return files


def index() -> str:
    rows = []
    for group, families in GROUPS.items():
        for family in families:
            lines = list(_lines(family))
            first = sum(line.rank_low == 1 for _, line, _ in lines)
            where = f"{first} of {len(lines)}" if lines else "none yet"
            rows.append(f"| [{family}]({family}.md) | {group} | {FAMILIES[family][2]} | {where} |")
    table = "\n".join(
        ["| family | group | what | may be the best on |", "|---|---|---|---|", *rows]
    )
    return "\n\n".join([INDEX.strip(), table, MAY.strip()]) + "\n"


def page(family: str) -> str:
    """What a person wrote of a family, and around it what is made."""
    text = (DOCS / "families" / "text" / f"{family}.md").read_text(encoding="utf-8")
    introduction, heading, sections = text.strip().partition("\n## ")
    parts = [
        f"# {family}",
        introduction.strip(),
        f"![{_seen(family)}](figures/{family}.svg)",
        _below_drawing(family),
        heading.strip() + " " + sections,
        "## Options, and what is searched",
        options(family),
        "## What it costs",
        costs(family),
        "## Where it ranks",
        ranks(family),
        "## To go on",
        commands(family),
        "[All families](README.md).",
    ]
    return "\n\n".join(parts) + "\n"


def commands(family: str) -> str:
    """What to type: the net above on the digits, and a search of the family beside another."""
    net = " ".join(f"{key}={value}" for key, value in EXAMPLES[family].items())
    other = "gru" if family == "lstm" else "lstm"
    return (
        f"    bench describe {family} {net} --task pixel_digits --budget 5k\n"
        f"    bench run --family {family} --family {other}"
    )


def _seen(family: str) -> str:
    """The drawing for somebody who cannot see it."""
    net = make_architecture(family, input_size=1, output_size=1, **_config(family))
    rows = "; ".join(level.name for level in levels(net))
    return f"Drawing of the connections, from the input up: {rows}"


def _below_drawing(family: str) -> str:
    net = " ".join(f"{key}={value}" for key, value in EXAMPLES[family].items())
    return (
        f"*The connections of a small {family} ({net}) over {STEPS} steps; strong: what the last "
        f"output depends on. {edges(family)}*"
    )


def _config(family: str) -> dict[str, Any]:
    return {**EXAMPLES[family], "width": 20}


def drawing(family: str) -> str:
    return alone(draw(family, _config(family), STEPS)) + "\n"


# -- options -------------------------------------------------------------------------------------


def options(family: str) -> str:
    """Every option with its default and what is searched of it."""
    kind, path = architecture_type(family), default_path(family)
    entries = {entry.name: entry for entry in read_space(path).entries}
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    rows = [
        (name, _value(defaults[name]), _searched(entries.get(name)), MEANING[name])
        for name in option_types(kind)
    ]
    rows.append(("width", "–", "no: the budget decides it", _width(kind)))
    rows.append(("learning_rate", "–", _searched(entries["learning_rate"]), "of the training"))
    head = "| option | default | searched | says |\n|---|---|---|---|"
    body = "\n".join(f"| `{name}` | {' | '.join(rest)} |" for name, *rest in rows)
    where = f"[`search_spaces/{path.name}`](../../search_spaces/{path.name})"
    return (
        f"{head}\n{body}\n\nThe space stands in {where}; `bench ls space {family}` counts its "
        "architectures, and `--search-space FILE` takes another. Dilations, skips and periods stay "
        "below the sequence's length."
    )


def _width(kind: type[Architecture]) -> str:
    if kind.equal_widths:
        return "channels of every layer"
    return "units of the whole layer" if kind.family == "clockwork_rnn" else "units of every layer"


def _value(value: Any) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else f"{value}"


def _searched(entry: Entry | None) -> str:
    if entry is None:
        return "no"
    words = ", ".join(map(_value, entry.choices))
    words = words or f"{_value(entry.low)} to {_value(entry.high)}{', log' * entry.log}"
    when = entry.when
    return f"{words}; where {when.option} {when.op} {when.value}" if when else words


# -- boards --------------------------------------------------------------------------------------


def _lines(family: str) -> Iterator[tuple[str, BoardLine, Standing]]:
    """Where a family stands: the name of the board's files, its line, and the whole board."""
    for name, groups in boards().items():
        for group in groups:
            if any(line.family == family for line in group.lines):
                one = standing(group)
                yield from ((name, line, one) for line in group.lines if line.family == family)


def ranks(family: str) -> str:
    """Rank, result and verdict on every published board."""
    lines = list(_lines(family))
    if not lines:
        return "No published board has it beside others yet: `bench run` makes one of yours."
    rows = [
        (
            f"{line.budget:,}",
            f"{line.steps:,}",
            f"{rank_text(line)} of {len(one.ranked)}",
            result_with_unit(line, one.group),
            _verdict(line, one),
        )
        for _, line, one in lines
    ]
    # The links are no text to escape.
    titles = ["parameters at most", "training steps", "rank", "test", "there it is"]
    table = markdown_table(titles, rows, [True, True, True, True, False]).splitlines()
    links = [f"[{name}](../../leaderboards/{name}.md)" for name, _, _ in lines]
    first = ["| task ", "|:--- ", *(f"| {link} " for link in links)]
    joined = "\n".join(a + b for a, b in zip(first, table, strict=True))
    return f"{_summary(lines)}\n\n{joined}\n\n{BOARDS.strip()}"


def _summary(lines: Sequence[tuple[str, BoardLine, Standing]]) -> str:
    """How often it may be the best, and how often it is behind."""
    counts = {
        "its rank may be 1 on": sum(line.rank_low == 1 for _, line, _ in lines),
        "it is to be taken on": sum(line is one.take for _, line, one in lines),
        "it is behind on": sum(line in one.behind for _, line, one in lines),
    }
    said = ", ".join(f"{what} {count}" for what, count in counts.items())
    return f"Of {len(lines)} published boards on which it stands beside others, {said}."


def _verdict(line: BoardLine, one: Standing) -> str:
    if one.all_tied:
        return "not told apart from any other"
    if line is one.take:
        return "to be taken: the best mean"
    if line in one.tied:
        return "not told apart from the best"
    return "behind" if line in one.behind else "without a rank"
