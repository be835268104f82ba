"""What a family's example net costs, as exact formulas in its width, and how far its paths reach.

Legend: H the width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from family_examples import EXAMPLES

from drnn_bench.models.architecture import Architecture
from drnn_bench.models.budget import count_parameters
from drnn_bench.models.mrl import path_lengths
from drnn_bench.models.registry import make_architecture

SIZES = {"input_size": 1, "output_size": 10}
LENGTH = 1_000  # steps of a sequence
SPANS = (1, 10, 100, 999)
# Nothing that is made from these widths, or from multiples of UNIT, is rounded up.
UNIT = 80  # for formulas
WIDTH = 48  # for numbers
Cost = Callable[[Architecture, int], float | None]  # over sequences of so many steps
COSTS: dict[str, Cost] = {
    "parameters": lambda net, length: count_parameters(net),
    "MACs a step": lambda net, length: net.macs_per_step_over(length),
    "state, bytes": lambda net, length: net.state_bytes_after(length),
}
CAPTION = """
One input, ten outputs, the head included; [protocol.md](../protocol.md) says how each is counted.
The last column says how many steps of the computation must follow one another for a sequence of
1,000 steps.
"""


def edges(family: str) -> str:
    """How many edges the shortest paths of the example net have."""
    lengths = path_lengths(_net(family, UNIT).paths, max(SPANS))
    counts = ["∞" if math.isinf(lengths[n]) else f"{lengths[n]:,.0f}" for n in SPANS]
    none = " (∞: there is no path)" if "∞" in counts else ""
    return f"A path over {_list(SPANS)} steps has at least {_list(counts)} edges{none}."


def _list(words: Sequence[object]) -> str:
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}"


def costs(family: str) -> str:
    """A table of formulas: of the example net, of one layer more, of twice the length."""
    deeper = "modules" if "modules" in EXAMPLES[family] else "depth"
    what = {"depth": "layer", "modules": "module"}[deeper]
    more = {deeper: EXAMPLES[family][deeper] + 1}
    unit = 3 * UNIT if deeper == "modules" else UNIT

    def in_width(cost: Cost, length: int = LENGTH) -> str:
        return formula(lambda width: cost(_net(family, width), length), unit)

    def added(cost: Cost) -> str:
        def by_one(width: int) -> float:
            return cost(_net(family, width, **more), LENGTH) - cost(_net(family, width), LENGTH)

        return formula(by_one, unit)

    plain, deep, one = _net(family, unit), _net(family, unit, **more), _net(family, WIDTH)
    steps, twice = plain.sequential_steps(LENGTH), plain.sequential_steps(2 * LENGTH)
    once, longer = ([in_width(cost, n) for cost in COSTS.values()] for n in (LENGTH, 2 * LENGTH))
    same = ["the same" if a == b else b for a, b in zip(once, longer, strict=True)]
    wide = "$`H`$ units in all" if deeper == "modules" else "$`H`$ units a layer"
    rows = [
        (f"the net above, {wide}", *once, f"{steps:,}"),
        (f"with $`H = {WIDTH}`$", *(f"{cost(one, LENGTH):,.0f}" for cost in COSTS.values()),
         f"{steps:,}"),
        (f"one {what} more adds", *map(added, COSTS.values()),
         f"{deep.sequential_steps(LENGTH) - steps:,}"),
        (f"over {2 * LENGTH:,} steps", *same, f"{twice:,}"),
    ]  # fmt: skip
    head = ("", *COSTS, "steps in a row")
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---", *["---:"] * 4], *rows)]
    return "\n".join(lines) + "\n\n" + CAPTION.strip()


def formula(cost: Callable[[int], float | None], unit: int) -> str:
    """A cost as a polynomial of second degree in the width H, in LaTeX. Raises ValueError where it
    is none: that is tried at two more widths than a polynomial needs."""
    values = [Fraction(cost(n * unit)) for n in range(1, 6)]
    second = (values[2] - 2 * values[1] + values[0]) / 2
    first = values[1] - values[0] - 3 * second
    rest = values[0] - first - second
    if any(second * n * n + first * n + rest != value for n, value in enumerate(values, 1)):
        raise ValueError(f"no polynomial of second degree in the width: {values}")
    parts = [(second / unit**2, "H^2"), (first / unit, "H"), (rest, "")]
    words = [_number(factor, power) for factor, power in parts if factor]
    return f"$`{' + '.join(words).replace('+ -', '- ') or '0'}`$"


def _number(factor: Fraction, power: str) -> str:
    if power and abs(factor) == 1:
        return power if factor > 0 else f"-{power}"
    text = f"{factor.numerator:,}".replace(",", "{,}")
    if factor.denominator > 1:
        size = text.removeprefix("-")
        text = "-" * (factor < 0) + rf"\frac{{{size}}}{{{factor.denominator}}}"
    return f"{text}\\,{power}" if power else text


def _net(family: str, width: int, **changes: int) -> Architecture:
    return make_architecture(family, **SIZES, width=width, **{**EXAMPLES[family], **changes})
