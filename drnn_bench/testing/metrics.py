"""The contract of metrics: values add up over batches, outcomes' mean is the value, and so on.

Legend: N examples, S scored steps, O outputs, D targets a step.
"""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np

from drnn_bench.metrics.forms import UNSCORED, Predictions, TargetForm
from drnn_bench.metrics.metric import Metric, MetricFacts
from drnn_bench.metrics.names import METRICS
from drnn_bench.metrics.registry import facts_of, metric_names, metric_type
from drnn_bench.testing.stand_ins import fixture, near

N, S = 60, 2
FORMS = {
    "classes": [TargetForm("classes", 2), TargetForm("classes", 3)],
    "binary": [TargetForm("binary", 1), TargetForm("binary", 2)],
    "real": [TargetForm("real", 1, naive_error=0.5), TargetForm("real", 2, naive_error=0.5)],
    "quantiles": [TargetForm("quantiles", 6, (0.1, 0.5, 0.9), 0.5)],
}


def nats_of(outputs_NSO: np.ndarray, targets: np.ndarray, form: TargetForm) -> np.ndarray:
    """The cross-entropy of each example, summed over its scored targets, [N]."""
    if form.kind == "classes":
        scored_NS = targets != UNSCORED
        largest = outputs_NSO.max(2, keepdims=True)
        logs_NSO = outputs_NSO - largest
        logs_NSO = logs_NSO - np.log(np.exp(logs_NSO).sum(2, keepdims=True))
        right_NS1 = np.where(scored_NS, targets, 0)[..., None]
        return -np.where(scored_NS, np.take_along_axis(logs_NSO, right_NS1, 2)[..., 0], 0.0).sum(1)
    if form.kind == "binary":
        costs_NSD = np.logaddexp(0, outputs_NSO) - targets * outputs_NSO
        return np.nansum(costs_NSD, (1, 2))
    return np.zeros(len(targets))


def predicted(outputs_NSO: np.ndarray, targets: np.ndarray, form: TargetForm) -> Predictions:
    """Predictions as a training would have them, but for the losses of real numbers."""
    return Predictions(form, outputs_NSO, targets, nats_of(outputs_NSO, targets, form))


def draw_targets(form: TargetForm, seed: int = 0, count: int = N, unscored: bool = True):
    """Random targets, classes uneven; a tenth is not scored, but never of the first ten."""
    rng = np.random.default_rng(seed)
    shape = (count, S) if form.kind == "classes" else (count, S, form.targets)
    if form.kind == "classes":
        y = rng.choice(form.outputs, shape, p=_uneven(form.outputs))
        y[: form.outputs, 0] = np.arange(form.outputs)
    elif form.kind == "binary":
        y = (rng.random(shape) < 0.3).astype(np.float64)
        y[:2, 0] = [[0.0], [1.0]]
    else:
        y = rng.normal(3, 2, shape)
    if unscored:
        out = rng.random(shape) < 0.1
        out[:10] = False
        y[out] = UNSCORED if form.kind == "classes" else np.nan
    return y


def _uneven(classes: int) -> np.ndarray:
    weights = np.arange(1, classes + 1)
    return weights / weights.sum()


def perfect_outputs(y: np.ndarray, form: TargetForm) -> np.ndarray:
    """Outputs that no metric finds better ones than."""
    if form.kind == "classes":
        return 40.0 * (y[..., None] == np.arange(form.outputs))
    if form.kind == "binary":
        return np.where(y == 1, 40.0, -40.0)
    return np.nan_to_num(np.repeat(y, form.outputs // form.targets, axis=2))


def forms_of(metric: Metric) -> list[TargetForm]:
    """Small examples of the forms that a metric takes."""
    return [form for kind in metric.takes for form in FORMS[kind]]


class MetricContract:
    """Inherit from it and set `metric`; pytest runs the checks.

    metric: its name
    """

    metric: ClassVar[str]

    @fixture("it")
    def it(self) -> Metric:
        return metric_type(self.metric)()

    @fixture("forms")
    def forms(self, it: Metric) -> list[TargetForm]:
        return [form for form in forms_of(it) if self.fits(form)]

    def fits(self, form: TargetForm) -> bool:
        """Whether the metric can be computed of a form that it takes. Override it where not."""
        return True

    def constants(self, y: np.ndarray, form: TargetForm) -> list[np.ndarray]:
        """Constant answers, one of which is the best. Override it where the metric has another."""
        if form.kind == "classes":
            counts = np.bincount(y[y != UNSCORED], minlength=form.outputs)
            return [np.log(counts / counts.sum()), *(40.0 * np.eye(form.outputs))]
        y_MD = y.reshape(-1, form.targets)
        if form.kind == "binary":
            shares_D = np.nanmean(y_MD, 0)
            logits_D = np.log(shares_D / (1 - shares_D))
            return [logits_D]
        if form.kind == "quantiles":
            return [np.nanquantile(y_MD, form.quantiles, 0, method="inverted_cdf").T.ravel(),
                    np.repeat(np.nanmedian(y_MD, 0), len(form.quantiles))]  # fmt: skip
        return [np.nanmean(y_MD, 0), np.nanmedian(y_MD, 0)]

    def draw(self, form: TargetForm, seed: int = 0, unscored: bool = True) -> Predictions:
        y = draw_targets(form, seed, unscored=unscored)
        noise_NSO = np.random.default_rng(seed + 1).normal(0, 4, (*y.shape[:2], form.outputs))
        return predicted(0.1 * perfect_outputs(y, form) + noise_NSO, y, form)

    def test_says_what_it_is(self, it):
        assert metric_type(it.name) is type(it)
        assert it.name in metric_names()
        assert len(it.unit.splitlines()) == 1
        it.check_class(it.name)

    def test_can_be_shown_from_its_record_alone(self, it):
        facts = it.facts()
        recorded = json.loads(json.dumps(facts.as_json))
        assert MetricFacts(**recorded) == facts
        if it.name not in METRICS:
            assert facts_of(it.name, recorded, it.direction) == facts

    def test_adds_up_over_batches(self, it, forms):
        for form in forms:
            p = self.draw(form)
            whole_NK = it.statistics(p)
            assert whole_NK.shape[0] == N
            parts = [
                it.statistics(predicted(p.outputs_NSO[rows], p.targets[rows], form))
                for rows in (slice(0, 1), slice(1, 23), slice(23, N))
            ]
            np.testing.assert_allclose(np.concatenate(parts), whole_NK, rtol=1e-12)

    def test_outcomes_have_the_value_as_their_mean(self, it, forms):
        for form in forms:
            s_NK = it.statistics(self.draw(form))
            outcomes_N = it.outcomes(s_NK)
            assert outcomes_N.shape == (N,)
            assert np.isfinite(outcomes_N).all()
            assert near(float(np.mean(outcomes_N)), it.value(s_NK), 1e-9)

    def test_outcomes_tell_what_an_example_adds(self, it, forms):
        """Against the value without the example (the jackknife), all of them equally long."""
        for form in forms:
            s_NK = it.statistics(self.draw(form, unscored=False))
            value, outcomes_N = it.value(s_NK), it.outcomes(s_NK)
            without_N = [it.value(np.delete(s_NK, i, axis=0)) for i in range(N)]
            pseudo_N = N * value - (N - 1) * np.array(without_N)
            spread = float(np.std(pseudo_N))
            assert near(float(np.std(outcomes_N)), spread, 0.2)
            if spread > 0:
                assert np.corrcoef(pseudo_N, outcomes_N)[0, 1] > 0.95

    def test_lies_within_its_bounds(self, it, forms):
        for form in forms:
            for seed in range(3):
                p = self.draw(form, seed)
                for value in (it.value(it.statistics(p)), it.guess(p.targets, form)):
                    assert np.isfinite(value)
                    assert it.bounds[0] <= value <= it.bounds[1]

    def test_is_better_in_its_direction_where_the_net_is_better(self, it, forms):
        sign = 1 if it.direction == "max" else -1
        for form in forms:
            p = self.draw(form)
            perfect = predicted(perfect_outputs(p.targets, form), p.targets, form)
            best = it.value(it.statistics(perfect))
            assert sign * best > sign * it.value(it.statistics(p))
            if it.facts().best is not None:
                assert abs(best - it.facts().best) <= 1e-9

    def test_guessing_is_the_best_of_constant_answers(self, it, forms):
        sign = 1 if it.direction == "max" else -1
        for form in forms:
            y = draw_targets(form)
            values = [
                it.value(
                    it.statistics(predicted(np.broadcast_to(a, (N, S, form.outputs)), y, form))
                )
                for a in self.constants(y, form)
            ]
            best = sign * max(sign * v for v in values)
            assert abs(it.guess(y, form) - best) <= 1e-9 + 1e-6 * abs(best)

    def test_a_split_that_has_a_value_has_no_fault(self, it, forms):
        for form in forms:
            assert it.fault(draw_targets(form), form) is None
