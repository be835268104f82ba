"""The samplers of a study, by the names that the command line knows."""

from __future__ import annotations

import optuna

from drnn_bench.search.startup import StartupSampler
from drnn_bench.search.study import STARTUP, StudySpec, seed_for


def make_sampler(spec: StudySpec, place: int, attempt: int) -> optuna.samplers.BaseSampler:
    """A new sampler for each draw, seeded by its place: the draw depends on the search so far
    (tpe) or on nothing else (random)."""
    if spec.sampler == "random" or place < spec.warm_start + STARTUP:
        return StartupSampler(spec, place, attempt)
    seed = seed_for(spec.seed, spec.family, "draw", place, attempt)
    if spec.sampler == "qmc":
        return optuna.samplers.QMCSampler(
            scramble=True,
            seed=seed_for(spec.seed, spec.family, "sequence"),
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
        )
    return optuna.samplers.TPESampler(
        n_startup_trials=0,
        multivariate=True,
        group=True,  # options that exist only under a condition
        constant_liar=True,  # does not draw next to what is running
        seed=seed,
    )
