"""The published boards: `leaderboards/TASK.csv` and `.md`, and the records behind them.

A board is made from `leaderboards/records/TASK.jsonl` and from nothing else. A run adds its rows
there (by id: no row is replaced or doubled) and writes the board again. Where the file has rows of
others, it does so only when asked to (`bench run --publish`): a first run in a fresh checkout
changes none of its boards.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from drnn_bench.board.renderings import to_csv, to_markdown
from drnn_bench.errors import UserError
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows
from drnn_bench.system.escape import file_name, markdown, plain
from drnn_bench.system.files import write_whole
from drnn_bench.system.writable import BOARDS

FOLDER = BOARDS
_NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?|-?\d+e-\d+")  # a float as Python writes it


def publish(rows: list[dict[str, Any]], task_key: str, folder: Path = FOLDER) -> Path:
    """Adds a task's rows to the published records and rewrites its board. Returns the .md."""
    name = file_name(task_key)
    path = folder / "records" / f"{name}.jsonl"
    published = {row["id"] for row in records.read(path)[0]}
    added = [row for row in rows if row["task"] == task_key and row["id"] not in published]
    try:
        if added:
            records.append(path, added)
        for suffix, text in _render(path).items():
            write_whole(folder / f"{name}.{suffix}", text.encode())
    except OSError as error:
        raise UserError(f"board {folder / name}: cannot be written ({error.strerror})") from None
    return folder / f"{name}.md"


def of_others(rows: list[dict[str, Any]], task_key: str, folder: Path = FOLDER) -> int:
    """How many of a task's published rows are not among `rows`."""
    ids = {row["id"] for row in rows}
    published, _ = records.read(folder / "records" / f"{file_name(task_key)}.jsonl")
    return sum(row["id"] not in ids for row in published)


def check(folder: Path = FOLDER) -> list[str]:
    """Rebuilds every published board from its records; a line on each that differs."""
    paths = sorted((folder / "records").glob("*.jsonl"))
    if not paths:
        raise UserError(f"no records in {folder / 'records'}: nothing to check")
    differences = []
    for path in paths:
        differences += [f"{path.parent / note}" for note in records.read(path)[1]]
        try:
            rendered = _render(path)
        except UserError as error:
            differences.append(str(error))
            continue
        for suffix, text in rendered.items():
            board = folder / f"{path.stem}.{suffix}"
            if not board.is_file():
                differences.append(f"{board}: missing")
            elif not agree(board.read_text(encoding="utf-8"), text):
                differences.append(f"{board}: differs from what {path} gives")
    return differences


def agree(board: str, rebuilt: str) -> bool:
    """Whether two texts are the same but for the last digits of numbers, which differ from one
    machine's mathematical library to another's."""
    if _NUMBER.sub("", board) != _NUMBER.sub("", rebuilt):
        return False
    pairs = zip(_NUMBER.findall(board), _NUMBER.findall(rebuilt), strict=True)
    return all(math.isclose(float(x), float(y), rel_tol=1e-9, abs_tol=1e-12) for x, y in pairs)


def _render(path: Path) -> dict[str, str]:
    """The text of a board's files, by suffix."""
    groups = rank_rows(records.read(path)[0])
    if not groups:
        raise UserError(f"{path}: no search among its rows, so no board")
    source = f"Rebuilt from `records/{plain(path.name)}` by `bench leaderboard --check`."
    head = f"# {markdown(groups[0].task)}\n\n{source}\n\n"
    return {"md": head + to_markdown(groups), "csv": to_csv(groups)}
