"""The samplers and pruners of a study, by the names that the command line knows."""

from __future__ import annotations

import optuna

from drnn_bench.search.study import STARTUP, StudySpec, seed_for


def make_sampler(spec: StudySpec, place: int, attempt: int) -> optuna.samplers.BaseSampler:
    """A new sampler for each draw, seeded by its place: the draw depends on the search so far
    (tpe) or on nothing else (random)."""
    seed = seed_for(spec.seed, spec.family, "draw", place, attempt)
    if spec.sampler == "qmc":
        return optuna.samplers.QMCSampler(
            scramble=True,
            seed=seed_for(spec.seed, spec.family, "sequence"),
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        )
    if spec.sampler == "random" or place < spec.warm_start + STARTUP:
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(
        n_startup_trials=0,
        multivariate=True,
        group=True,  # options that exist only under a condition
        constant_liar=True,  # does not draw next to what is running
        seed=seed,
    )


def make_pruner(spec: StudySpec) -> optuna.pruners.BasePruner:
    quarter = max(1, spec.recipe["evaluations"] // 4)
    if spec.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=quarter, reduction_factor=2)
    if spec.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=quarter - 1)
    return optuna.pruners.NopPruner()
