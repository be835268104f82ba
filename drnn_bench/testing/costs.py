"""What a step of a net really costs, for the contract of families: counted as torch runs it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from drnn_bench import kernels
from drnn_bench.models.streaming import tensors_of
from drnn_bench.testing.nets import INPUTS, Options, architecture_of, doubled, make

# The two factors among the arguments of torch's products of matrices, and of its products by
# element. torch's recurrent layers, `linear` and `einsum` are made of them in double precision.
MATRICES = {"mm": (0, 1), "addmm": (1, 2), "bmm": (0, 1), "baddbmm": (1, 2), "mv": (0, 1),
            "addmv": (1, 2), "dot": (0, 1)}  # fmt: skip
ELEMENTS = {"mul": (0, 1), "mul_": (0, 1), "addcmul": (1, 2), "addcmul_": (1, 2)}


class MacCounter(TorchDispatchMode):
    """Counts the products that models/cost.py counts, in the operations that torch runs within it.

    It follows which tensors come from a net's weights alone. A product of two such tensors is not
    counted, as it is the same at every step; nor is one by element of two tensors that are not
    weights, as gates are. Raises NotImplementedError for a convolution, whose stream should be a
    product.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.macs = 0
        # By their addresses. They are kept, so that no other memory gets the address of one.
        self._fixed: dict[int, Any] = {}
        for tensor in (*model.parameters(), *model.buffers()):
            self._note(tensor, fixed=True)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None):
        out = func(*args, **(kwargs or {}))
        name = func.__name__.partition(".")[0]
        if "convolution" in name:
            raise NotImplementedError(f"{name} is not counted")
        if name in MATRICES:
            a, b = (args[i] for i in MATRICES[name])
            if not (self._is_fixed(a) and self._is_fixed(b)):
                self.macs += out.numel() * a.shape[-1] * _reals(a, b)
        elif name in ELEMENTS:
            a, b = (args[i] for i in ELEMENTS[name])
            if isinstance(b, Tensor) and self._is_fixed(a) != self._is_fixed(b):
                self.macs += out.numel() * _reals(a, b)
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        fixed = all(map(self._is_fixed, given))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._note(tensor, fixed)
        return out

    def _is_fixed(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._fixed

    def _note(self, tensor: Tensor, fixed: bool) -> None:
        storage = tensor.untyped_storage()
        if fixed:
            self._fixed[storage._cdata] = storage
        else:
            self._fixed.pop(storage._cdata, None)


def _reals(a: Tensor, b: Tensor) -> int:
    """Products of real numbers in one product of two numbers."""
    return (1 + a.is_complex()) * (1 + b.is_complex())


def counted_macs(family: str, options: Options) -> float:
    """MACs a step of a stream, the mean over a period, after as many steps as the net looks
    back."""
    architecture = architecture_of(family, options)
    steps = architecture.period or 1
    model = doubled(make(family, options))
    with torch.no_grad(), kernels.forced("torch"):
        _, state = model.stream(_steps(architecture.longest_span + 1, torch.float64))
        parts = _steps(steps, torch.float64).split(1, dim=1)
        with MacCounter(model) as counter:
            for x_11I in parts:
                _, state = model.stream(x_11I, state)
    return counter.macs / steps


def held_bytes(family: str, options: Options) -> int:
    """Bytes of the state of one sequence that a stream in float32 really holds, once it has seen
    as many steps as the net looks back."""
    span, model = architecture_of(family, options).longest_span, make(family, options)
    with torch.no_grad():
        _, state = model.stream(_steps(span + 1))
        _, state = model.stream(_steps(1), state)
    return sum(tensor.nbytes for tensor in tensors_of(state))


def _steps(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(1, count, INPUTS, dtype=dtype)
