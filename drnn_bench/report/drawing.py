"""A net's dilations as a drawing: its layers over the last steps of a sequence, after figures 1 and
2 of Chang et al. (2017). Nodes that the last output depends on are drawn strong, the rest faint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drnn_bench.errors import UserError, one_line
from drnn_bench.models.architecture import Architecture
from drnn_bench.models.registry import architecture_type, make_architecture
from drnn_bench.results.codec import from_json
from drnn_bench.system.escape import html

STEPS, LAYERS = 33, 128  # drawn at most
LEFT, TOP = 172, 30  # in units of the drawing; the first at least
# Nodes and edges are drawn on a coarser grid: its coordinates are short, and a page holds many.
GRID = 8  # units of the drawing
STEP, ROW = 2, 5  # from one node to the next, in units of the grid
LETTER = 6.5  # of a row's name
# Of a drawing that no page lends its colours to: its own ground and ink, by the reader's scheme.
GROUND = (
    "<style>svg{color:#1b1f24}.ground{fill:#fff}@media (prefers-color-scheme:dark)"
    "{svg{color:#e6e8ea}.ground{fill:#15181c}}</style>"
    '<rect class="ground" width="100%" height="100%" fill="#fff"/>'
)


@dataclass(frozen=True)
class Level:
    """One row of nodes, and the edges that end in them.

    A recurrent node has an edge from `back` steps earlier in its own row, and one from the row
    below; any other has edges from `back` steps earlier in the row below.
    """

    name: str
    back: tuple[int, ...]
    recurrent: bool = True
    every: int = 1  # steps from one node to the next


def levels(net: Architecture) -> list[Level]:
    """The rows of a net above its input, lowest first."""
    if periods := getattr(net, "periods", None):
        return [Level(f"module {i}, period {p}", (p,), every=p) for i, p in enumerate(periods, 1)]
    if skips := getattr(net, "skips", None):
        return [Level(f"layer {i}, skip {s}", (1, s)) for i, s in enumerate(skips, 1)]
    windows = [tuple(range(STEPS) if w is None else w[:STEPS]) for w in net.paths.windows]
    if net.layer_dilations is None and not net.paths.spans:
        over = ["all steps" if w is None else f"{len(w)} steps" for w in net.paths.windows]
        names = [f"layer {i}, attention over {steps}" for i, steps in enumerate(over, 1)]
        return [Level(n, w, recurrent=False) for n, w in zip(names, windows, strict=True)]
    dilations = net.layer_dilations or (1,) * net.layers
    names = [f"layer {i}, dilation {d}" for i, d in enumerate(dilations, 1)]
    if not net.paths.spans:
        return [Level(n, w, recurrent=False) for n, w in zip(names, windows, strict=True)]
    rows = [Level(n, (d,)) for n, d in zip(names, dilations, strict=True)]
    over = [Level(f"convolution over {len(w)}", w, recurrent=False) for w in windows]
    if net.layer_dilations is None and over:  # each layer has one in front of it
        return [level for pair in zip(over, rows, strict=True) for level in pair]
    return rows + over


@dataclass
class _Part:
    """Nodes and edges that look alike, drawn as two paths: a page holds many drawings."""

    edges: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)  # lines of length zero with round ends

    @property
    def drawn(self) -> str:
        return (
            f'<path d="{"".join(self.edges)}"/>'
            f'<path stroke-width="{6 / GRID:g}" d="{"".join(self.nodes)}"/>'
        )


def draw(family: str, config: dict[str, Any], length: int) -> str:
    """The drawing as an SVG element, with a title and a description for readers who cannot see it.

    `config` is that of a record, `length` the task's sequence length in steps. No model is built.
    Raises UserError where the config is no net of the family, or has more than `LAYERS` layers.
    """
    net = _net(family, config)
    rows = levels(net)
    if len(rows) > LAYERS:
        raise UserError(f"{len(rows)} layers are more than can be seen")
    steps = min(length, STEPS)
    seen = _seen(rows, steps)
    left = max(LEFT, *(16 + int(LETTER * len(level.name)) for level in rows))
    width, height = left + steps * STEP * GRID, TOP + ROW * len(rows) * GRID + 34

    def place(row: int, step: int) -> tuple[int, int]:  # row 0 is the input, at the bottom
        return STEP * step + STEP // 2, ROW * (len(rows) - row)

    def across(step: int) -> int:
        return left + GRID * place(0, step)[0]

    faint, strong = _Part(), _Part()
    for row, level in enumerate([Level("input", ()), *rows]):
        for step in _nodes(level, steps):
            part = strong if step in seen[row] else faint
            part.edges += _edges(row, step, level, place)
            part.nodes.append("M{} {}h0".format(*place(row, step)))
    labels = [
        f'<text x="{left - 8}" y="{TOP + GRID * place(row, 0)[1] + 4}" text-anchor="end">'
        f"{html(name)}</text>"
        for row, name in enumerate(["input", *(level.name for level in rows)])
    ]
    labels += [
        f'<text x="{across(0)}" y="{height - 8}">step T−{steps - 1}</text>',
        f'<text x="{across(steps - 1)}" y="{height - 8}" text-anchor="end">T</text>',
    ]
    names = "; ".join(level.name for level in rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">'
        f"<title>{html(family)} over the last {steps} steps</title>"
        f"<desc>From the input up: {html(names)}.</desc>"
        f'<g transform="translate({left} {TOP})scale({GRID})" fill="none" stroke="currentColor" '
        f'stroke-linecap="round" stroke-width="{1 / GRID:g}"><g opacity="0.22">{faint.drawn}</g>'
        f'<g color="#2f7fc1" stroke-width="{1.4 / GRID:g}">{strong.drawn}</g></g>'
        '<g font-family="sans-serif" font-size="12" fill="currentColor">'
        f"{''.join(labels)}</g></svg>"
    )


def alone(svg: str) -> str:
    """A drawing of `draw` as a file of its own, which is legible in light and in dark."""
    return svg.replace("</desc>", f"</desc>{GROUND}", 1)


def _net(family: str, config: dict[str, Any]) -> Architecture:
    options = from_json(config)
    architecture_type(family)  # raises UserError for an unknown family
    try:
        return make_architecture(family, **{"input_size": 1, "output_size": 1} | options)
    except UserError:
        raise
    except Exception as error:  # options that are none of the family's, or of another kind
        raise UserError(f"not how a {family} is described ({one_line(error)})") from None


def _nodes(level: Level, steps: int) -> list[int]:
    return [step for step in range(steps) if (steps - 1 - step) % level.every == 0]


def _seen(rows: list[Level], steps: int) -> list[set[int]]:
    """For each row, the input's first, the steps whose node the last output depends on.

    Rows of which any has `every` > 1 are modules of one layer: the output reads the last node of
    every module, and every module reads the input.
    """
    modules = any(level.every > 1 for level in rows)
    read = {steps - 1}  # steps of the current row that the row above reads
    read_of_input: set[int] = set()  # by any module
    seen: list[set[int]] = []
    for level in reversed(rows):
        needed = {steps - 1} if modules else set(read)
        if level.recurrent:
            for back in (b for b in level.back if b > 0):
                for step in range(steps - 1, -1, -1):
                    if step in needed and step - back >= 0:
                        needed.add(step - back)
            read = set(needed)
        else:
            read = {step - back for step in needed for back in level.back if step >= back}
        read_of_input |= read
        seen.append(needed)
    seen.append(read_of_input if modules else read)
    return seen[::-1]


def _edges(row: int, step: int, level: Level, place) -> list[str]:
    """The edges that end in a node, as SVG path data. An edge from before the first step is left
    out."""
    x, y = place(row, step)
    paths = []
    if level.recurrent and row and level.every == 1:
        paths.append(f"M{x} {place(row - 1, step)[1]}V{y}")
    for back in level.back:
        if not level.recurrent:
            if step >= back:
                from_x, from_y = place(row - 1, step - back)
                paths.append(f"M{from_x} {from_y}L{x} {y}")
        elif back == 1 and step:
            paths.append(f"M{x - STEP} {y}H{x}")
        elif step >= back:
            from_x, bend = place(row, step - back)[0], min(3.25, 1 + back / 4)
            paths.append(f"M{from_x} {y}Q{(from_x + x) / 2:g} {y - bend:g} {x} {y}")
    return paths
