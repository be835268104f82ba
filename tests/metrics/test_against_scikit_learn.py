"""Metrics against scikit-learn, on random splits that are cut into random batches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from drnn_bench.metrics.forms import UNSCORED, TargetForm
from drnn_bench.metrics.registry import metric_type
from drnn_bench.testing.metrics import draw_targets, predicted

CASES = settings(max_examples=8, deadline=None)


def whole_split(name, outputs_NSO, y, form, cuts):
    """The value of a split that is read in batches."""
    metric = metric_type(name)()
    edges = [0, *sorted({c % len(y) for c in cuts} - {0}), len(y)]
    batches = [slice(a, b) for a, b in itertools.pairwise(edges)]
    parts = [metric.statistics(predicted(outputs_NSO[b], y[b], form)) for b in batches]
    return metric.value(np.concatenate(parts))


def split(form, seed, count=40):
    y = draw_targets(form, seed, count)
    outputs = np.random.default_rng(seed).normal(1, 2, (count, y.shape[1], form.outputs))
    return outputs, y


def flat(outputs_NSO, y):
    """The scored steps of classes: logits [M, O] and classes [M]."""
    return outputs_NSO[y != UNSCORED], y[y != UNSCORED]


def probabilities(logits_MO):
    odds_MO = np.exp(logits_MO)
    return odds_MO / odds_MO.sum(1, keepdims=True)


def multi_area(y, logits_MO):
    return judge.roc_auc_score(y, probabilities(logits_MO), multi_class="ovr")


OF_CLASSES = {
    "accuracy": lambda y, z: judge.accuracy_score(y, z.argmax(1)),
    "balanced_accuracy": lambda y, z: judge.balanced_accuracy_score(y, z.argmax(1)),
    "macro_f1": lambda y, z: judge.f1_score(y, z.argmax(1), average="macro"),
    "auroc": multi_area,
    "cross_entropy": lambda y, z: judge.log_loss(y, probabilities(z)),
    "perplexity": lambda y, z: math.exp(judge.log_loss(y, probabilities(z))),
    "bits_per_character": lambda y, z: judge.log_loss(y, probabilities(z)) / math.log(2),
}


@pytest.mark.parametrize("name", OF_CLASSES)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 39), max_size=4))
@CASES
def test_metrics_of_classes(name, seed, cuts):
    form = TargetForm("classes", 4)
    outputs, y = split(form, seed)
    logits, classes = flat(outputs, y)
    expected = OF_CLASSES[name](classes, logits)
    assert whole_split(name, outputs, y, form, cuts) == pytest.approx(expected, rel=1e-9)


@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 39), max_size=4))
@CASES
def test_the_area_of_two_classes_and_of_binary_targets_ties_included(seed, cuts):
    two = TargetForm("classes", 2)
    outputs, y = split(two, seed)
    outputs = np.round(outputs)  # ties
    logits, classes = flat(outputs, y)
    expected = judge.roc_auc_score(classes, logits[:, 1] - logits[:, 0])
    assert whole_split("auroc", outputs, y, two, cuts) == pytest.approx(expected)
    binary = TargetForm("binary", 3)
    outputs, y = split(binary, seed)
    columns = [(y[..., d].ravel(), outputs[..., d].ravel()) for d in range(3)]
    areas = [judge.roc_auc_score(t[~np.isnan(t)], z[~np.isnan(t)]) for t, z in columns]
    assert whole_split("auroc", outputs, y, binary, cuts) == pytest.approx(np.mean(areas))
    right = [((z > 0) == t)[~np.isnan(t)] for t, z in columns]
    value = whole_split("accuracy", outputs, y, binary, cuts)
    assert value == pytest.approx(np.concatenate(right).mean())


OF_REAL = {
    "mse": judge.mean_squared_error,
    "rmse": judge.root_mean_squared_error,
    "mae": judge.mean_absolute_error,
    "r2": judge.r2_score,
    "mase": lambda y, z: judge.mean_absolute_error(y, z) / 0.25,
}


@pytest.mark.parametrize("name", OF_REAL)
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(1, 39), max_size=4),
    shift=st.sampled_from([0.0, 1e6]),
)
@CASES
def test_metrics_of_real_numbers(name, seed, cuts, shift):
    form = TargetForm("real", 2, naive_error=0.25)
    outputs, y = split(form, seed)
    y[np.isnan(y).any(2)] = np.nan  # the judge takes a step whole
    known = ~np.isnan(y[..., 0])
    expected = OF_REAL[name](y[known] + shift, outputs[known] + shift)
    value = whole_split(name, outputs + shift, y + shift, form, cuts)
    assert value == pytest.approx(expected, rel=1e-7)


@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 39), max_size=4))
@CASES
def test_the_pinball_loss(seed, cuts):
    levels = (0.1, 0.5, 0.8)
    form = TargetForm("quantiles", 6, levels, 0.25)
    outputs, y = split(form, seed)
    known = ~np.isnan(y)
    costs = [
        judge.mean_pinball_loss(y[known], outputs.reshape(*y.shape, 3)[known][:, q], alpha=level)
        for q, level in enumerate(levels)
    ]
    value = whole_split("pinball", outputs, y, form, cuts)
    assert value == pytest.approx(np.mean(costs))
    middle = outputs.reshape(*y.shape, 3)[known][:, 1]
    mae = whole_split("mae", outputs, y, form, cuts)
    assert mae == pytest.approx(judge.mean_absolute_error(y[known], middle))


def test_outcomes_of_the_area_are_delongs_placements():
    """Written out from DeLong et al. (1988), pair by pair."""
    form = TargetForm("classes", 2)
    rng = np.random.default_rng(3)
    y, outputs = rng.integers(0, 2, (25, 1)), np.round(rng.normal(0, 2, (25, 1, 2)))
    metric = metric_type("auroc")()
    s_NK = metric.statistics(predicted(outputs, y, form))
    score = [float(z[1] - z[0]) for z in outputs[:, 0]]
    positives = [i for i in range(25) if y[i, 0] == 1]
    negatives = [i for i in range(25) if y[i, 0] == 0]

    def above(a, b):
        return 1.0 if score[a] > score[b] else 0.5 if score[a] == score[b] else 0.0

    area = sum(above(p, n) for p in positives for n in negatives)
    area /= len(positives) * len(negatives)
    assert metric.value(s_NK) == pytest.approx(area)
    v10 = [sum(above(p, n) for n in negatives) / len(negatives) for p in positives]
    v01 = [sum(above(p, n) for p in positives) / len(positives) for n in negatives]
    variance = sum((v - area) ** 2 for v in v10) / len(positives) ** 2
    variance += sum((v - area) ** 2 for v in v01) / len(negatives) ** 2
    outcomes_N = metric.outcomes(s_NK)
    assert np.var(outcomes_N) / 25 == pytest.approx(variance)
