"""A recipe's optimizer and learning-rate schedule, by torch's own functions.

`torch.optim.Adam` imports torch's compiler when it is made, which takes every process two seconds.
The functions that it calls do not. The results are the same to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop

from drnn_bench.results.recipe import Recipe

BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's defaults


class Optimizer:
    """Adam (Kingma and Ba 2015) or RMSProp of some parameters, by the recipe.

    mean, square:  running means of the gradients (Adam's only) and of their squares
    steps:         how many each parameter has taken
    """

    def __init__(self, recipe: Recipe, parameters: Iterable[nn.Parameter]):
        self.recipe, self.parameters = recipe, list(parameters)
        adam = recipe.optimizer == "adam"
        self.mean = [torch.zeros_like(_real(p)) for p in self.parameters] if adam else []
        self.square = [torch.zeros_like(_real(p)) for p in self.parameters]
        # Where Adam's kernel wants it: on the parameters' device. RMSProp counts on the processor.
        self.steps = [torch.zeros((), device=p.device if adam else "cpu") for p in self.parameters]

    def zero_grad(self) -> None:
        """Sets gradients to zero. They stay the same tensors: views of one, where `flatten` made
        them."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.zero_()

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step at a learning rate, of the parameters that have a gradient."""
        pairs = [(i, p, p.grad) for i, p in enumerate(self.parameters) if p.grad is not None]

        def those(tensors: list[Tensor]) -> list[Tensor]:
            return [tensors[i] for i, _, _ in pairs]

        parameters, gradients = [_real(p) for _, p, _ in pairs], [_real(g) for _, _, g in pairs]
        square, steps = those(self.square), those(self.steps)
        if self.recipe.optimizer == "adam":
            given = {
                "amsgrad": False, "beta1": BETAS[0], "beta2": BETAS[1], "lr": rate,
                "weight_decay": 0.0, "eps": EPSILON, "maximize": False,
            }  # fmt: skip
            tensors = (parameters, gradients, those(self.mean), square, [], steps)
            if len(pairs) == 1:
                # What `adam` calls, after it has sorted tensors by device and dtype, which takes
                # a small net a fiftieth of its training step.
                steps[0].add_(1)
                torch._fused_adam_(*tensors, **given)  # pyright: ignore[reportPrivateImportUsage]
            else:
                adam(*tensors, fused=True, **given)
        else:
            rmsprop(
                parameters, gradients, square, [], [], steps, lr=rate,
                alpha=self.recipe.rmsprop_alpha, eps=EPSILON, weight_decay=0.0, momentum=0.0,
                centered=False,
            )  # fmt: skip

    @property
    def state(self) -> dict[str, list[Tensor]]:
        """What the next step depends on."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    def restore(self, state: dict[str, list[Tensor]]) -> None:
        for name, saved in state.items():
            for tensor, value in zip(getattr(self, name), saved, strict=True):
                tensor.copy_(value)


def clip(parameters: list[nn.Parameter], largest: float) -> float:
    """Scales the gradients of some parameters so that their norm together is at most `largest`.
    Returns the norm that they had.

    Of one tensor it is `torch.nn.utils.clip_grad_norm_`, to the last bit. That function sorts
    tensors by device and dtype, which takes a small net a thirtieth of its training step.
    """
    gradient = parameters[0].grad
    if len(parameters) > 1 or gradient is None or gradient.is_complex():
        return float(nn.utils.clip_grad_norm_(parameters, largest))
    norm = torch.linalg.vector_norm(gradient)
    length = float(norm)
    if not length < 0.999 * largest:  # else the factor is 1
        gradient.mul_((largest / (norm + 1e-6)).clamp_(max=1.0))
    return length


def _real(tensor: Tensor) -> Tensor:
    """A complex tensor as a real one of two numbers for each."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


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
