"""What a metric is where nothing of the inputs is learned, from a task's training targets alone.

accuracy       the share of the most frequent target
cross_entropy  the entropy of the targets' frequencies, in nats; in bits, divided by ln 2

Only scored steps count. Where every sequence has the same scored steps, an answer may differ from
step to step, as long as each step has ENOUGH targets a class to tell its frequencies.

Legend: N sequences, S scored steps, O classes.
"""

from __future__ import annotations

import math

import numpy as np

from drnn_bench.tasks.task import UNSCORED, Arrays, Task

ENOUGH = 100


def guess(task: Task, arrays: Arrays) -> float:
    """The best that an answer without looking at the inputs does on the training targets."""
    y_NS = np.asarray(arrays["train"][1])
    y_NS = y_NS.reshape(-1, 1) if y_NS.ndim == 1 else y_NS
    counts_SO = np.stack([_counts(y_N, task.output_size) for y_N in y_NS.T])
    if (counts_SO.sum(1) < ENOUGH * task.output_size).any():
        counts_SO = counts_SO.sum(0, keepdims=True)
    shares_SO = counts_SO / counts_SO.sum(1, keepdims=True)
    weights_S = counts_SO.sum(1) / counts_SO.sum()
    if task.metric == "accuracy":
        return float(weights_S @ shares_SO.max(1))
    logs_SO = np.log(np.where(shares_SO > 0, shares_SO, 1.0))
    nats = float(-weights_S @ (shares_SO * logs_SO).sum(1))
    return nats / math.log(2) if task.metric == "bits_per_character" else nats


def _counts(y_N: np.ndarray, classes: int) -> np.ndarray:
    scored = y_N[y_N != UNSCORED].astype(np.int64, copy=False)
    return np.bincount(scored, minlength=classes)
