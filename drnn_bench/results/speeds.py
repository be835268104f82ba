"""Which speed row a board shows of a finalist: rows alone, as in `ranking`."""

from __future__ import annotations

from collections import Counter
from typing import Any

Row = dict[str, Any]
HARDWARE = ("processor", "device", "torch", "dtype")


def shown_speeds(
    studies: dict[str, Row], rows: list[Row], group: tuple[str, ...]
) -> dict[str, tuple[Row | None, str | None]]:
    """The speed row of each study's finalist, or why none of its rows is shown.

    Rows of one thread count where there are such, else any. Speeds of other hardware, threads or
    torch never stand in one table: each group shows those that most of its studies were measured
    on. Of several, an idle machine's row goes before a busy one's, and a later one before an
    earlier: who measures a published net again on a busier machine, or on another, replaces
    nothing.
    """
    timed = {id_: _timed(study, rows) for id_, study in studies.items()}
    usual: dict[tuple, Counter] = {}
    for id_, study in studies.items():
        counter = usual.setdefault(tuple(study[key] for key in group), Counter())
        counter.update(dict.fromkeys(map(measured_on, timed[id_]), 1))
    shown: dict[str, tuple[Row | None, str | None]] = {}
    for id_, study in studies.items():
        kinds = usual[tuple(study[key] for key in group)].most_common(1)
        here = [row for row in timed[id_] if measured_on(row) == kinds[0][0]]
        idle = [row for row in here if row["machine"] == "idle"]
        if here:
            shown[id_] = (idle or here)[-1], None
        elif timed[id_]:
            hardware, threads = measured_on(timed[id_][-1])
            shown[id_] = None, f"speed measured elsewhere ({hardware}, {threads} thread)"
        else:
            shown[id_] = None, None
    return shown


def _timed(study: Row, rows: list[Row]) -> list[Row]:
    mine = [
        row
        for row in rows
        if row["role"] == "speed"
        and row["study"] == study["study"]
        and same_net(row, study["best"])
    ]
    return [row for row in mine if row["threads"] == 1] or mine


def measured_on(speed: Row) -> tuple[str, int]:
    """Hardware, in words, and threads."""
    return ", ".join(str(speed[key]) for key in HARDWARE), speed["threads"]


def same_net(row: Row, best: Row) -> bool:
    return row["config"] == best["config"] and row["learning_rate"] == best["learning_rate"]


def speed_ratio(speed: Row | None, rows: list[Row], base: str) -> float | None:
    """Training speed over the base family's at the same budget, both measured in one session."""
    for row in rows if speed else ():
        if (
            row["role"] == "speed"
            and row["family"] == base
            and all(row[key] == speed[key] for key in ("session", "threads", "budget"))
        ):
            return speed["train_per_s"] / row["train_per_s"]
    return None
