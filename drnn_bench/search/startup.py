"""The draws with which every search begins: what a place draws before anything is known.

A start-up draw depends on what is searched and on its place, and on nothing else: no other trial,
no sampler, no pruner. Its architecture comes from a seed of its own. Its learning rate is the
place's point of a low-discrepancy sequence (Sobol 1967, scrambled), which is the same for every
family at one task and budget: each maps it to its own range, so no family has luckier rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from drnn_bench.search.study import StudySpec, seed_for

RATE = "learning_rate"


class StartupSampler(optuna.samplers.BaseSampler):
    """Draws one trial. `attempt` counts the draws that its place has used up."""

    def __init__(self, spec: StudySpec, place: int, attempt: int):
        searched = (spec.task, spec.data_hash, spec.budget, spec.steps, spec.seed)
        seed = seed_for(*searched, spec.family, "architecture", place, attempt)
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._point = sobol_point(seed_for(*searched, "learning rate"), place)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        if param_name == RATE:
            return at(param_distribution, self._point)
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def import_sampling() -> None:
    """Imports what draws: it takes a second, for which the first trial would wait. Who draws
    nothing does without."""
    import scipy.stats  # noqa: F401


def sobol_point(seed: int, place: int) -> float:
    """Point number `place` of a scrambled Sobol sequence over [0, 1)."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(d=1, scramble=True, rng=seed)
    if place:  # SciPy cannot skip nothing
        sequence.fast_forward(place)
    return float(sequence.random(1)[0, 0])


def at(distribution: BaseDistribution, point: float) -> Any:
    """The value at `point`, from 0 to 1, of what a learning rate is drawn from."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(point * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution)
    low, high = distribution.low, distribution.high
    return low * (high / low) ** point if distribution.log else low + (high - low) * point
