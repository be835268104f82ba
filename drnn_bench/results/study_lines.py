"""The rows of a study -> its line on a board, and the rows that the line is made from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from drnn_bench.results.averages import mean_of_all
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.codec import from_json
from drnn_bench.results.correlation import mrl_correlations
from drnn_bench.results.outcomes import mean_outcomes, unpack
from drnn_bench.results.significance import Sample, t_interval
from drnn_bench.results.speeds import (
    is_to_reference,
    measured_on,
    on_all_cores,
    same_net,
    speed_ratio,
)
from drnn_bench.results.training_time import mean_curve

Row = dict[str, Any]


def study_rows(rows: list[Row]) -> dict[str, Row]:
    """The row of each study by its digest: of several rows the one that has most trials, and of
    these the first. A published search is not replaced when it is run again, or in part."""
    studies: dict[str, Row] = {}
    for row in sorted((r for r in rows if r["role"] == "study"), key=lambda row: row["started"]):
        known = studies.get(row["study"])
        if known is None or _trials_done(row) > _trials_done(known):
            studies[row["study"]] = row
    return studies


def _trials_done(study: Row) -> int:
    return study["trials"]["complete"] + study["trials"]["pruned"]


def finals_of(line: BoardLine, rows: list[Row]) -> list[Row]:
    """The rows of the finals that a line's test mean is over, one a seed."""
    rows = [row for row in rows if row["study"] == line.study]
    return _complete(_one_a_seed(r for r in rows if same_net(r, line.config, line.learning_rate)))


def make_line(
    study: Row, rows: list[Row], base: str, speed: Row | None, no_speed: str | None
) -> BoardLine:
    """A study and what its finalist did, not ranked yet. `no_speed`: why it shows no speed."""
    best = study["best"]
    of_study = [row for row in rows if row["study"] == study["study"]]
    of_best = [r for r in of_study if same_net(r, best["config"], best["learning_rate"])]
    finals = _one_a_seed(of_best)
    failed = [row for row in finals if row["state"] == "failed"]
    finals = [] if failed else finals  # a mean without them would be one of what went well
    complete = _complete(finals)
    overtaken = sum(row["role"] == "final" for row in of_study) - sum(
        row["role"] == "final" for row in of_best
    )
    left_out = [f"{overtaken} finals of a net that is no longer the best"] * (overtaken > 0)
    left_out += [no_speed] if no_speed else []
    left_out += [f"no rank: the final of seed {r['seed']} failed: {r['reason']}" for r in failed]
    protocol, diverged = study.get("protocol", 1), len(finals) - len(complete)
    tests = [row["test"] for row in complete]
    if protocol > 1:
        tests += [_worst(study, tests)] * diverged
    low, high = t_interval(tests) or (None, None)
    validation = mean_of_all([row["validation"] for row in complete])
    measured, on_cores = speed or {}, on_all_cores(speed, rows)
    reference = measured["reference"] if is_to_reference(speed, base) else None
    target, solved_at = study.get("target"), study.get("solved_at")
    curve = mean_curve(study, complete, diverged) if protocol > 1 else None
    return BoardLine(
        rank_low=None,
        rank_high=None,
        task=study["task"],
        task_version=study["task_version"],
        data_hash=study["data_hash"],
        family=study["family"],
        architecture=study["architecture"],
        config=study["config"],
        budget=study["budget"],
        parameters=study["parameters"],
        width=study["width"],
        steps=study["steps"],
        learning_rate=study["learning_rate"],
        metric=study["metric"],
        direction=study["direction"],
        mrl=from_json(study["mrl"]),
        mrl_horizon=study["mrl_horizon"],
        reach=from_json(study["reach"]),
        recurrent_edges_per_node=study["recurrent_edges_per_node"],
        sequential_steps=study["sequential_steps"],
        macs_per_step=study.get("macs_per_step"),
        state_bytes=study.get("state_bytes"),
        weight_bytes=study.get("weight_bytes"),
        trials=study["trials"],
        startup_mean=study["startup_mean"],
        sampler=study["sampler"],
        pruner=study["pruner"],
        search_seed=study["search_seed"],
        recipe=study["recipe"],
        study=study["study"],
        space=study["spec"]["space"],
        n=len(tests),
        diverged_finals=diverged,
        failed_finals=len(failed),
        test_mean=mean_of_all(tests),
        test_low=low,
        test_high=high,
        test_error=_sampling_error(complete),
        tests=tests,
        test_accuracy=mean_of_all([row.get("test_accuracy") for row in complete]),
        guessing=study.get("guessing"),
        validation_best=best["value"],
        validation_mean=validation,
        gain=gain(study["direction"], validation, study["startup_mean"]) if protocol == 1 else None,
        on_edge=best["on_edge"],
        warm=study.get("warm", 0),
        warm_best=best.get("warm", False),
        train_per_s=measured.get("train_per_s"),
        infer_per_s=measured.get("infer_per_s"),
        latency_ms=measured.get("latency_ms"),
        stream_us=measured.get("stream_us"),
        peak_memory_mb=measured.get("peak_memory_mb"),
        speed_ratio=speed_ratio(speed, rows, base),
        train_all_per_s=measured.get("train_all_per_s"),
        infer_all_per_s=measured.get("infer_all_per_s"),
        train_cores_per_s=on_cores.get("train_per_s"),
        infer_cores_per_s=on_cores.get("infer_per_s"),
        speed_reference=reference and f"{reference['family']} {reference['architecture']}",
        machine=measured.get("machine"),
        hardware=measured_on(speed)[0] if speed else None,
        threads=measured.get("threads"),
        search_seconds=study["search_seconds"] + study.get("candidate_seconds", 0.0),
        train_seconds=mean_of_all([row["train_seconds"] for row in complete]),
        harness_version=study["harness_version"],
        git_commit=study["git_commit"],
        date=max([study["started"], *(row["started"] for row in finals)])[:10],
        mrl_correlation=mrl_correlations(study),
        left_out=left_out,
        protocol=protocol,
        path_lengths=from_json(study.get("path_lengths", {})),
        margin=study.get("margin", 0.0),
        metrics=_other_metrics(complete),
        metric_facts=study.get("metric_facts"),
        solved=_solved(study["direction"], tests, solved_at),
        solved_at=solved_at,
        target=target,
        seconds_to_target=None if curve is None or target is None else curve.seconds_to(target),
        last_quarter=curve and curve.last_quarter,
        apart=[],
    )


def sample_of(line: BoardLine, rows: list[Row]) -> Sample:
    """What the line's ranks rest on: without outcomes where a final did not record its own, or
    where all of them diverged."""
    finals = finals_of(line, rows)
    known = [unpack(row["outcomes"]) for row in finals if "outcomes" in row]
    return Sample(line.tests, mean_outcomes(known if len(known) == len(finals) else []))


def _other_metrics(finals: list[Row]) -> dict[str, float]:
    """The means of what the finals have beside the metric, of those that all of them have."""
    tables = [row.get("metrics", {}) for row in finals]
    names = [name for name in (tables or [{}])[0] if all(name in table for table in tables)]
    return {name: fmean(table[name] for table in tables) for name in names}


def _worst(study: Row, tests: list[float]) -> float:
    """What a diverged final counts as: the worse of guessing and the family's worst final."""
    known = [*tests, study["guessing"]]
    return min(known) if study["direction"] == "max" else max(known)


def _solved(direction: str, tests: list[float], at: float | None) -> int | None:
    """How many finals solved the task; None where it does not say what that means, or without
    finals."""
    if at is None or not tests:
        return None
    return sum(test >= at if direction == "max" else test <= at for test in tests)


def gain(direction: str, value: float | None, over: float | None) -> float | None:
    """By how much a value is better than another, whichever way the metric goes."""
    if value is None or over is None:
        return None
    return value - over if direction == "max" else over - value


def _one_a_seed(rows: Iterable[Row]) -> list[Row]:
    """The first final of each seed. A published final is not replaced when it is trained again; a
    failed one is."""
    first: dict[int, Row] = {}
    for row in rows:
        known = first.get(row["seed"])
        if row["role"] == "final" and (known is None or known["state"] == "failed"):
            first[row["seed"]] = row
    return list(first.values())


def _complete(finals: Iterable[Row]) -> list[Row]:
    return [r for r in finals if r["state"] == "complete" and math.isfinite(r["test"])]


def _sampling_error(finals: list[Row]) -> float | None:
    """The standard error that the test set's own size leaves on an accuracy."""
    if not finals or finals[0]["metric"] != "accuracy":
        return None
    p = fmean(r["test"] for r in finals)
    return math.sqrt(p * (1 - p) / finals[0]["test_size"])
