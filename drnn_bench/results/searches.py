"""Independent searches of one family -> one line.

Searches are independent where they differ in nothing but their seed. The line's figures are over
the finals of all of them; its net is that of the search which is best by validation.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from drnn_bench.results.averages import mean_of_all, mean_of_known
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.outcomes import mean_outcomes
from drnn_bench.results.significance import Sample, t_interval

Row = dict[str, Any]
ENOUGH = 5  # searches from which a family's ranks always rest on their means

WITHOUT_FINALS: dict[str, Any] = {
    "n": 0, "tests": [], "diverged_finals": 0, "solved": None,
    **dict.fromkeys(("test_mean", "test_accuracy", "test_error", "validation_mean")),
    **dict.fromkeys(("train_seconds", "seconds_to_target", "last_quarter")),
}  # fmt: skip


def identity(study: Row) -> str:
    """What a search is, its seed left out. Before protocol 2 every search stood on its own."""
    if study.get("protocol", 1) == 1:
        return study["study"]
    spec = {key: value for key, value in study["spec"].items() if key != "seed"}
    codes = {kind: code["sha256"] for kind, code in study.get("plugins", {}).items()}
    return json.dumps([spec | {"plugins": codes}, study["family"], study["budget"]], sort_keys=True)


def merge(lines: Sequence[BoardLine]) -> BoardLine:
    """One line for searches that differ in their seed only. Where a final of one has failed, no
    final counts: what went well is no fair part."""
    if len(lines) == 1:
        return lines[0]
    if failed := sum(line.failed_finals for line in lines):
        lines = [replace(line, **WITHOUT_FINALS) for line in lines]
    lines = sorted(lines, key=lambda line: line.search_seed)
    best = _best(lines)
    tests = [test for line in lines for test in line.tests]
    means = [line.test_mean for line in lines if line.test_mean is not None]
    low, high = t_interval(basis(tests, means)) or (None, None)
    trials: Counter[str] = Counter()
    for line in lines:
        trials.update(line.trials)
    weights = [line.n for line in lines]
    return replace(
        best,
        trials=dict(trials),
        n=len(tests),
        failed_finals=failed,
        diverged_finals=sum(line.diverged_finals for line in lines),
        tests=tests,
        test_mean=fmean(tests) if tests else None,
        test_low=low,
        test_high=high,
        test_error=mean_of_known([line.test_error for line in lines], weights),
        test_accuracy=mean_of_known([line.test_accuracy for line in lines], weights),
        metrics=_other_metrics(lines),
        validation_mean=mean_of_known([line.validation_mean for line in lines], weights),
        startup_mean=mean_of_known([line.startup_mean for line in lines], [1] * len(lines)),
        train_seconds=mean_of_known([line.train_seconds for line in lines], weights),
        search_seconds=math.fsum(line.search_seconds for line in lines),
        searches=len(lines),
        search_seeds=[line.search_seed for line in lines],
        search_means=means,
        solved=None if best.solved is None else sum(line.solved or 0 for line in lines),
        seconds_to_target=mean_of_all([line.seconds_to_target for line in lines]),
        last_quarter=mean_of_known([line.last_quarter for line in lines], weights),
        date=max(line.date for line in lines),
        left_out=[what for line in lines for what in line.left_out],
    )


def _other_metrics(lines: Sequence[BoardLine]) -> dict[str, float]:
    tested = [line for line in lines if line.n]
    first = tested[0].metrics if tested else {}
    names = [name for name in first if all(name in line.metrics for line in tested)]
    weights = [line.n for line in tested]
    means = {name: mean_of_known([x.metrics[name] for x in tested], weights) for name in names}
    return {name: mean for name, mean in means.items() if mean is not None}


def basis(tests: Sequence[float], means: Sequence[float]) -> list[float]:
    """What intervals and ranks over several searches rest on: all tests, or the means of the
    searches. Of ENOUGH searches it is the means. Of fewer it is what gives the mean the larger
    standard error: where searches differ by more than their seeds let expect, seeds of one search
    tell nothing of another search, and few searches tell little.
    """
    return list(means if len(means) >= ENOUGH or _error(means) > _error(tests) else tests)


def _error(values: Sequence[float]) -> float:
    """The standard error of a mean; 0 where there are too few values."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def merge_samples(samples: Sequence[Sample]) -> Sample:
    """What the ranks of a merged line rest on."""
    tests = [test for sample in samples for test in sample.tests]
    means = [fmean(sample.tests) for sample in samples if len(sample.tests)]
    return Sample(basis(tests, means), mean_outcomes([sample.outcomes_N for sample in samples]))


def _best(lines: Sequence[BoardLine]) -> BoardLine:
    """The search that is best by the validation of its finals; before there are any, by that of
    its best trial."""
    sign = 1 if lines[0].direction == "max" else -1
    validated = [(sign * x.validation_mean, x) for x in lines if x.validation_mean is not None]
    searched = [(sign * x.validation_best, x) for x in lines]
    return max(validated or searched, key=lambda pair: pair[0])[1]
