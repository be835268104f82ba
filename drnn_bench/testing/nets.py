"""Nets for the contract of families: how they are made, what they refuse, what they compute.

Legend: B batch, T steps, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from drnn_bench import kernels
from drnn_bench.models.architecture import Architecture
from drnn_bench.models.build import build, configure
from drnn_bench.models.inputs import Net
from drnn_bench.models.streaming import Ring, State

INPUTS, OUTPUTS = 3, 4
STEPS = 90  # of the sequences on which gradients are followed

Options = dict[str, Any]


def make(family: str, options: Options, seed: int = 0) -> Net:
    """A net in evaluation mode, its weights drawn from this seed."""
    torch.manual_seed(seed)
    return build(family, input_size=INPUTS, output_size=OUTPUTS, **options).eval()


def architecture_of(family: str, options: Options) -> Architecture:
    """The architecture that `make` builds."""
    return configure(family, input_size=INPUTS, output_size=OUTPUTS, **options)


def doubled(model: Net) -> Net:
    """The net in double precision. `double` alone leaves complex parameters as they are."""
    for module in model.double().modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if tensor.is_complex():
                tensor.data = tensor.data.to(torch.complex128)
    return model


def wrong_inputs(model: Net) -> list[tuple[Any, dict[str, Any]]]:
    """Inputs and further arguments that a net of INPUTS channels must refuse."""
    right = torch.randn(2, 9, INPUTS)
    wrong = [
        torch.randn(2, 9, INPUTS + 1),
        torch.randn(2, 9, 1),
        torch.randn(9, INPUTS),
        torch.randn(1, 2, 9, INPUTS),
        torch.randn(0, 9, INPUTS),
        torch.randn(2, 0, INPUTS),
        right.double(),
        right.half(),
        right.to(torch.complex64),
        right.long(),
        right > 0,
        right.to("meta"),
        right.to_sparse(),
        right.numpy(),
        None,
        torch.full((2, 9), INPUTS),
        torch.full((2, 9), -1),
        torch.full((2, 9), 10**8),
        torch.zeros(2, 9),
        torch.zeros(2, 9, dtype=torch.bool),
    ]
    if not getattr(model, "takes_symbols", False):
        wrong.append(torch.zeros(2, 9, dtype=torch.int64))
    lasts = [0, -1, 10, True, 1.0, "1", torch.tensor(1)]
    return [(x, {}) for x in wrong] + [(right, {"last": last}) for last in lasts]


class Counter(TorchDispatchMode):
    """Counts the operations that torch runs within it, without those that return views."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None):
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def operations(family: str, options: Options, length: int) -> int:
    """How many operations one pass takes. In double precision torch's recurrent kernels run every
    step as operations that can be counted."""
    model = doubled(make(family, options))
    x = torch.randn(2, length, INPUTS, dtype=torch.float64)
    with torch.no_grad(), kernels.forced("torch"), Counter() as counter:
        model(x)
    return counter.count


def seen_spans(family: str, options: Options, back: int) -> np.ndarray:
    """[back, STEPS]: for each of the last `back` outputs, the last one first, whether the input
    n = 0, 1, ... steps before it has a gradient."""
    torch.manual_seed(1)
    # Many sequences, as for a single one a ReLU may close a path.
    x = torch.randn(64, STEPS, INPUTS, dtype=torch.float64, requires_grad=True)
    y = doubled(make(family, options))(x)
    seen = np.zeros((back, STEPS), dtype=bool)
    for i in range(back):
        (grad,) = torch.autograd.grad(y[:, STEPS - 1 - i].sum(), x, retain_graph=True)
        spans = grad.abs().amax(dim=(0, 2)).flip(0)[i:] > 0
        seen[i, : len(spans)] = spans.numpy()
    return seen


def long_tensors(state: Any) -> list[Tensor]:
    """The tensors of a state's rings, which hold as many steps as their layer looks back."""
    if isinstance(state, Ring):
        return list(state.rows)
    if isinstance(state, State):
        return long_tensors(state.parts)
    many = isinstance(state, list | tuple)
    parts = state.values() if isinstance(state, dict) else state if many else []
    return [tensor for part in parts for tensor in long_tensors(part)]


def gradient(tensor: Tensor) -> Tensor:
    """Of a tensor; zeros where nothing depends on it."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def wrong_gradients(outputs: Callable[..., Any], given: dict[str, Tensor]) -> list[str]:
    """The names of those whose gradients are not what differences of `outputs(*given)` show, along
    one random direction of each."""

    def right(tensors: list[Tensor]) -> bool:
        torch.manual_seed(1)
        return torch.autograd.gradcheck(outputs, tensors, fast_mode=True, raise_exception=False)

    if right([*given.values()]):
        return []
    alone = {
        name: [t.detach().requires_grad_(other == name) for other, t in given.items()]
        for name in given
    }
    return [name for name, tensors in alone.items() if not right(tensors)] or [*given]


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether the largest error is within `tolerance` of the largest magnitude in b."""
    return bool((a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-12))
