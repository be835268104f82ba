"""Records -> the ranked table. Computed from rows alone: no model, no torch.

Rows are ranked within a group: same task, version, data, budget and steps. Within it a family
stands once for each study (another sampler, space, recipe or seed is another study).
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from drnn_bench.errors import UserError, nearest
from drnn_bench.results import records
from drnn_bench.results.correlation import mrl_correlations
from drnn_bench.results.significance import rank_intervals, t_interval
from drnn_bench.results.speeds import (
    measured_on,
    same_net,
    shown_speeds,
    speed_ratio,
)

Row = dict[str, Any]
GROUP = ("task", "task_version", "data_hash", "budget", "steps")
LATER = ("latency_ms", "stream_us", "peak_memory_mb")  # measures that older speed rows lack


def leaderboard(
    runs_dir: str | Path = "runs",
    task: str | None = None,
    family: str | None = None,
    budget: int | None = None,
) -> pd.DataFrame:
    """The board of a runs folder, best first within each group; columns are documented in README.

    Raises ValueError where nothing has been run, or nothing of what was asked for; warns of rows
    that cannot be read.
    """
    rows, notes = records.read_folder(Path(runs_dir))
    for note in notes:
        warnings.warn(note, stacklevel=2)
    board = select(build(rows), task=task, family=family, budget=budget, where=str(runs_dir))
    return board.convert_dtypes()


def build(rows: list[Row], base: str = "lstm") -> pd.DataFrame:
    """One line for each study, ranked within its group; `speed_ratio` is to the family `base`."""
    studies = searches(rows)
    speeds = shown_speeds(studies, rows, GROUP)
    lines = [_line(study, rows, base, *speeds[id_]) for id_, study in studies.items()]
    for line in lines:
        line["gain_over_random"] = _gain_over_random(line, lines, studies)
        if any("plugins" in study for study in studies.values()):
            line["plugins"] = studies[line["study"]].get("plugins", {})
    groups: dict[tuple, list[Row]] = {}
    for line in lines:
        groups.setdefault(tuple(line[key] for key in GROUP), []).append(line)
    ranked = []
    for key in sorted(groups):
        apart = [_difference(key, other) for other in sorted(groups) if other[0] == key[0]]
        for line in groups[key]:
            line["apart"] = [words for words in apart if words]
        ranked += _rank(groups[key])
    return pd.DataFrame(ranked, dtype=object)  # whole numbers stay whole beside missing ones


def searches(rows: list[Row]) -> dict[str, Row]:
    """The row of each study: of the one that has most trials, and of several, the first. Who runs
    a published search again, or a part of it, displaces nothing."""
    found: dict[str, Row] = {}
    for row in sorted((r for r in rows if r["role"] == "study"), key=lambda row: row["started"]):
        known = found.get(row["study"])
        if known is None or _trials(row) > _trials(known):
            found[row["study"]] = row
    return found


def _trials(study: Row) -> int:
    return study["trials"]["complete"] + study["trials"]["pruned"]


def select(
    board: pd.DataFrame,
    *,
    task: str | None = None,
    family: str | None = None,
    budget: int | None = None,
    where: str = "runs",
) -> pd.DataFrame:
    """The lines of a task (by name, or with its options), a family, a budget."""
    if board.empty:
        raise UserError(f"nothing has been run yet in {where}: `bench run` first")
    for name, wanted in (("task", task), ("family", family), ("budget", budget)):
        if wanted is None:
            continue
        keep = board[name] == wanted
        if name == "task":
            keep |= board[name].str.split(":").str[0] == wanted
        if not keep.any():
            known = [str(x) for x in sorted(board[name].unique())]
            raise UserError(
                f"no results for {name} {wanted!r} in {where}: {nearest(str(wanted), known)}"
            )
        board = board[keep]
    return board.reset_index(drop=True)


def finals_of(line: Row, rows: list[Row]) -> list[Row]:
    """The finals that a line's test mean is over, one a seed."""
    mine = (r for r in rows if r["study"] == line["study"] and same_net(r, line))
    return _complete(_one_a_seed(mine))


def _difference(group: tuple, other: tuple) -> str:
    """How another group of the same task differs, in words; empty for the same one."""
    words = {
        "task_version": "task version {}",
        "data_hash": "data {}",
        "budget": "{:,} parameters",
        "steps": "{:,} steps",
    }
    pairs = zip(GROUP, group, other, strict=True)
    return ", ".join(words[key].format(theirs) for key, mine, theirs in pairs if mine != theirs)


def _line(study: Row, rows: list[Row], base: str, speed: Row | None, no_speed: str | None) -> Row:
    """A study and what its finalist did. `no_speed`: why it has no speed to show."""
    all_mine = [r for r in rows if r["study"] == study["study"]]
    best = study["best"]
    mine = [r for r in all_mine if same_net(r, best)]
    finals = _one_a_seed(mine)
    overtaken = sum(r["role"] == "final" and not same_net(r, best) for r in all_mine)
    complete = _complete(finals)
    tests = [r["test"] for r in complete]
    interval = t_interval(tests)
    left_out = [f"{overtaken} finals of a net that is no longer the best"] * (overtaken > 0)
    left_out += [no_speed] if no_speed else []
    keys = [
        "task",
        "task_version",
        "data_hash",
        "family",
        "architecture",
        "config",
        "budget",
        "parameters",
        "width",
        "steps",
        "learning_rate",
        "metric",
        "direction",
        "mrl",
        "mrl_horizon",
        "reach",
        "recurrent_edges_per_node",
        "sequential_steps",
        "trials",
        "startup_mean",
        "sampler",
        "pruner",
        "search_seed",
        "recipe",
        "study",
    ]
    line = {key: study[key] for key in keys}
    mean, validation = _mean(tests), _mean([r["validation"] for r in complete])
    return line | {
        "space": study["spec"]["space"],
        "n": len(tests),
        "diverged_finals": len(finals) - len(complete),
        "test_mean": mean,
        "test_low": interval[0] if interval else None,
        "test_high": interval[1] if interval else None,
        "test_error": _sampling_error(complete),
        "tests": tests,
        "test_accuracy": _mean([r["test_accuracy"] for r in complete]),
        "guessing": study.get("guessing"),
        "validation_best": study["best"]["value"],
        "validation_mean": validation,
        "gain": _gain(study, validation, study["startup_mean"]),
        "on_edge": study["best"]["on_edge"],
        "warm": study.get("warm", 0),
        "warm_best": study["best"].get("warm", False),
        "train_per_s": speed and speed["train_per_s"],
        "infer_per_s": speed and speed["infer_per_s"],
        **{key: speed and speed.get(key) for key in LATER},
        "speed_ratio": speed_ratio(speed, rows, base),
        "machine": speed and speed["machine"],
        "hardware": speed and measured_on(speed)[0],
        "threads": speed and speed["threads"],
        "search_seconds": study["search_seconds"],
        "train_seconds": _mean([r["train_seconds"] for r in complete]),
        "harness_version": study["harness_version"],
        "git_commit": study["git_commit"],
        "date": max([study["started"], *(r["started"] for r in finals)])[:10],
        "mrl_correlation": {
            cell: found and asdict(found) for cell, found in mrl_correlations(study).items()
        },
        "left_out": left_out,
    }


def _gain(row: Row, value: float | None, than: float | None) -> float | None:
    """By how much a value is better than another, whichever way the metric goes."""
    if value is None or than is None:
        return None
    return value - than if row["direction"] == "max" else than - value


def _gain_over_random(line: Row, lines: list[Row], studies: dict[str, Row]) -> float | None:
    """Test mean over that of a random search of the same family, space and recipe under the same
    conditions: the one with the most trials, where there are several."""

    def same(other: Row) -> bool:
        keys = (*GROUP, "family", "recipe")
        spaces = [studies[x["study"]]["space"] for x in (line, other)]
        return all(line[k] == other[k] for k in keys) and spaces[0] == spaces[1]

    random = [x for x in lines if x["sampler"] == "random" and x["n"] and same(x)]
    if line["sampler"] == "random" or not random:
        return None
    most = max(random, key=lambda x: (x["trials"]["complete"] + x["trials"]["pruned"], x["study"]))
    return _gain(line, line["test_mean"], most["test_mean"])


def _rank(lines: list[Row]) -> list[Row]:
    """Best first, with rank intervals; lines without finals last and without a rank. Where a
    family has several lines, `search` tells them apart."""
    families = Counter(x["family"] for x in lines)
    codes: dict[str, set[str]] = {}
    for line in lines:
        codes.setdefault(line["family"], set()).add(_code_words(line))
    for line in lines:
        kind = f"{line['sampler']}, {line['pruner']}, seed {line['search_seed']}"
        if len(codes[line["family"]]) > 1:
            kind += f", code {_code_words(line) or 'not recorded'}"
        line["search"] = kind if families[line["family"]] > 1 else None
    sign = -1 if lines[0]["direction"] == "max" else 1
    tested = sorted((x for x in lines if x["n"]), key=lambda x: (sign * x["test_mean"], x["study"]))
    others = [x for x in lines if not x["n"]]
    others.sort(key=lambda x: (sign * x["validation_best"], x["study"]))
    ranks = rank_intervals([x["tests"] for x in tested], lines[0]["direction"])
    ranked = [{"rank_low": a, "rank_high": b, **x} for (a, b), x in zip(ranks, tested, strict=True)]
    ranked += [{"rank_low": None, "rank_high": None, **x} for x in others]
    return ranked


def _code_words(line: Row) -> str:
    """The hashes of the plug-ins that a line's task and family come from."""
    return " ".join(code["sha256"][:8] for _, code in sorted(line.get("plugins", {}).items()))


def _one_a_seed(rows: Iterable[Row]) -> list[Row]:
    """The first final of each seed: who trains a published net again displaces nothing."""
    first: dict[int, Row] = {}
    for row in rows:
        if row["role"] == "final":
            first.setdefault(row["seed"], row)
    return list(first.values())


def _complete(finals: Iterable[Row]) -> list[Row]:
    return [r for r in finals if r["state"] == "complete" and math.isfinite(r["test"])]


def _sampling_error(finals: list[Row]) -> float | None:
    """The standard error that the test set's own size leaves on an accuracy."""
    if not finals or finals[0]["metric"] != "accuracy":
        return None
    p = sum(r["test"] for r in finals) / len(finals)
    return math.sqrt(p * (1 - p) / finals[0]["test_size"])


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
