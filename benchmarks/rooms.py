"""Prints how the modules of drnn_bench lie and who imports whom, for one or more checkouts.

    python benchmarks/rooms.py [CHECKOUT ...]

A room is a folder directly under drnn_bench, or a module there that lies in no folder. An arrow
goes from a room to another that it imports; imports inside functions count, those for the type
checker alone do not. Rooms that reach one another both ways are a circle. `__init__.py` of the
package is the public API and no room.

It needs grimp, which import-linter brings. Nothing of drnn_bench is imported or run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import grimp

PACKAGE = "drnn_bench"


@dataclass(frozen=True)
class Plan:
    """The rooms of one checkout. Names lack the package's prefix."""

    modules_at_root: int
    rooms: tuple[str, ...]
    arrows: frozenset[tuple[str, str]]  # (importer, imported)
    circles: tuple[tuple[str, ...], ...]


def read_plan(checkout: Path) -> Plan:
    """Raises SystemExit where the folder holds no drnn_bench."""
    package = checkout / PACKAGE
    if not (package / "__init__.py").is_file():
        raise SystemExit(f"{checkout} holds no {PACKAGE}/__init__.py; name a checkout")
    sys.path.insert(0, str(checkout))
    try:
        graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    finally:
        sys.path.remove(str(checkout))
    children = sorted(graph.find_children(PACKAGE))
    for room in children:
        graph.squash_module(room)
    arrows = {
        (room, imported)
        for room in children
        for imported in graph.find_modules_directly_imported_by(room)
        if imported != PACKAGE
    }
    circles = {
        tuple(
            other
            for other in children
            if other == room
            or (graph.chain_exists(room, other) and graph.chain_exists(other, room))
        )
        for room in children
    }
    return Plan(
        modules_at_root=sum(path.name != "__init__.py" for path in package.glob("*.py")),
        rooms=tuple(map(_short, children)),
        arrows=frozenset((_short(a), _short(b)) for a, b in arrows),
        circles=tuple(tuple(map(_short, c)) for c in sorted(circles) if len(c) > 1),
    )


def _short(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.")


def main(checkouts: list[str]) -> None:
    print("| checkout | modules at the root | rooms | arrows | circles | rooms in circles |")
    print("|---|---:|---:|---:|---:|---:|")
    plans = [(name, read_plan(Path(name).resolve())) for name in checkouts]
    for name, plan in plans:
        figures = (
            plan.modules_at_root,
            len(plan.rooms),
            len(plan.arrows),
            len(plan.circles),
            sum(map(len, plan.circles)),
        )
        print(f"| {name} | {' | '.join(map(str, figures))} |")
    for name, plan in plans:
        for circle in plan.circles:
            print(f"\nA circle in {name}: {', '.join(circle)}")


if __name__ == "__main__":
    main(sys.argv[1:] or [str(Path(__file__).parent.parent)])
