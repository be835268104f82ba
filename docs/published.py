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
    """The boards by the name of their files; a net alone is no choice. Of boards that differ
    in their protocol alone, the latest."""
    found = {}
    for path in sorted((BOARDS / "records").glob("*.jsonl")):
        groups = rank_rows(records.read(path)[0])
        competing = [x for x in groups if len({line.family for line in x.lines}) > 1]
        latest = {}
        for group in sorted(competing, key=lambda x: x.protocol):
            latest[group.key[:-1]] = group  # the protocol is the last of the key
        if latest:
            found[path.stem] = [group for group in competing if group in latest.values()]
    return found
