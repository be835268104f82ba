"""A recipe's optimizer and learning-rate schedule, by torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from torch import nn, optim

from drnn_bench.results.recipe import Recipe


def make_optimizer(
    recipe: Recipe, parameters: Iterable[nn.Parameter], learning_rate: float
) -> optim.Optimizer:
    if recipe.optimizer == "rmsprop":
        return optim.RMSprop(parameters, lr=learning_rate, alpha=recipe.rmsprop_alpha)
    return optim.Adam(parameters, lr=learning_rate, fused=True)


def factor(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """The factor of the learning rate at each step, counted from 0: always 1, or a cosine to 0
    after a linear warm-up over a twentieth of the steps."""
    if recipe.schedule == "constant":
        return lambda step: 1.0
    warm = max(1, steps // 20)

    def cosine(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return cosine
