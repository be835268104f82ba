"""A board as a pandas table: the edge of the Python API."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from drnn_bench.results import records
from drnn_bench.results.board_line import BoardGroup, as_records
from drnn_bench.results.ranking import rank_rows, select


def leaderboard(
    runs_dir: str | Path = "runs",
    task: str | None = None,
    family: str | None = None,
    budget: int | None = None,
) -> pd.DataFrame:
    """The board of a runs folder as a table: a row for each search, best first within each group.

    The columns are the fields of `results.board_line.BoardLine`, with their units. Columns of whole
    numbers have a dtype that may hold missing values. `task` is a name, with its options or
    without; `budget` a number of parameters. Published boards are read too: name their folder.

        >>> board = drnn_bench.leaderboard("runs", task="pixel_digits")
        >>> board[["family", "n", "rank_low", "rank_high"]]
          family  n  rank_low  rank_high
        0   lstm  3         1          1

    Raises ValueError where nothing has been run, or nothing of what was asked for; warns of rows
    that cannot be read.
    """
    rows, notes = records.read_folder(Path(runs_dir))
    for note in notes:
        warnings.warn(note, stacklevel=2)
    groups = select(rank_rows(rows), task=task, family=family, budget=budget, where=str(runs_dir))
    return to_frame(groups)


def to_frame(groups: Sequence[BoardGroup]) -> pd.DataFrame:
    """A row a line, with pandas' own missing value where a line has None."""
    return pd.DataFrame(as_records(groups), dtype=object).convert_dtypes()
