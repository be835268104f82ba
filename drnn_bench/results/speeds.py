"""The speed row of a finalist that a board shows, chosen from rows alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from drnn_bench.results.board_line import GROUP

Row = dict[str, Any]
HARDWARE = ("processor", "device", "torch", "dtype")


def shown_speeds(
    studies: dict[str, Row], rows: list[Row]
) -> dict[str, tuple[Row | None, str | None]]:
    """The speed row of each study's finalist, or why none of its rows is shown.

    Rows of one thread go before rows of several. A group shows one kind of hardware, thread count,
    torch and dtype: the kind on which most of its studies were measured. Of several rows, an idle
    machine's goes before a busy one's, and a later one before an earlier: a published speed is not
    replaced when the net is measured again on a busier machine, or on another.
    """
    timed = {digest: _timed(study, rows) for digest, study in studies.items()}
    usual: dict[tuple, Counter[tuple[str, int]]] = {}
    for digest, study in studies.items():
        counter = usual.setdefault(_group(study), Counter())
        counter.update(dict.fromkeys(map(measured_on, timed[digest]), 1))
    shown: dict[str, tuple[Row | None, str | None]] = {}
    for digest, study in studies.items():
        most_common = [kind for kind, _ in usual[_group(study)].most_common(1)]
        comparable = [row for row in timed[digest] if measured_on(row) in most_common]
        idle = [row for row in comparable if row["machine"] == "idle"]
        if comparable:
            shown[digest] = (idle or comparable)[-1], None
        elif timed[digest]:
            hardware, threads = measured_on(timed[digest][-1])
            shown[digest] = None, f"speed measured elsewhere ({hardware}, {threads} thread)"
        else:
            shown[digest] = None, None
    return shown


def _group(study: Row) -> tuple:
    return tuple({"protocol": 1, **study}[key] for key in GROUP)


def _timed(study: Row, rows: list[Row]) -> list[Row]:
    """The speed rows of a study's finalist: those of one thread, where there are such."""
    best = study["best"]
    timed = [
        row
        for row in rows
        if row["role"] == "speed"
        and row["study"] == study["study"]
        and same_net(row, best["config"], best["learning_rate"])
    ]
    return [row for row in timed if row["threads"] == 1] or timed


def measured_on(speed: Row) -> tuple[str, int]:
    """Hardware, in words, and threads."""
    return ", ".join(str(speed[key]) for key in HARDWARE), speed["threads"]


def is_to_reference(speed: Row | None, base: str) -> bool:
    """Whether a ratio to the base family is one to the reference net, which rows of protocol 1 do
    not have."""
    return bool(speed) and speed.get("reference", {}).get("family") == base


def on_all_cores(speed: Row | None, rows: list[Row]) -> Row:
    """The row of the same net in the same session that has the most threads, from protocol 2 on;
    empty where no row has more threads than the one that is shown."""
    if speed is None or speed.get("protocol", 1) == 1:
        return {}
    beside = [
        row
        for row in rows
        if row["role"] == "speed"
        and all(row[key] == speed[key] for key in ("session", "study", "config", "learning_rate"))
        and row["threads"] > speed["threads"]
    ]
    return max(beside, key=lambda row: row["threads"], default={})


def same_net(row: Row, config: Row, learning_rate: float) -> bool:
    return row["config"] == config and row["learning_rate"] == learning_rate


def speed_ratio(speed: Row | None, rows: list[Row], base: str) -> float | None:
    """Training speed over that of the reference net, if it is of the base family, else over the
    base family's finalist at the same budget; both measured in one session."""
    if speed is None:
        return None
    if is_to_reference(speed, base):
        return speed["train_per_s"] / speed["reference"]["train_per_s"]
    for row in rows:
        if (
            row["role"] == "speed"
            and row["family"] == base
            and all(row[key] == speed[key] for key in ("session", "threads", "budget"))
        ):
            return speed["train_per_s"] / row["train_per_s"]
    return None
