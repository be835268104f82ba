"""The published boards on which families compete."""

from __future__ import annotations

import functools
from pathlib import Path

from drnn_bench.results import records
from drnn_bench.results.board_line import BoardGroup
from drnn_bench.results.ranking import rank_rows

BOARDS = Path(__file__).resolve().parent.parent / "leaderboards"


@functools.cache
def boards() -> dict[str, list[BoardGroup]]:
    """The boards by the name of their files; a net alone is no choice."""
    found = {}
    for path in sorted((BOARDS / "records").glob("*.jsonl")):
        groups = rank_rows(records.read(path)[0])
        if competing := [x for x in groups if len({line.family for line in x.lines}) > 1]:
            found[path.stem] = competing
    return found
