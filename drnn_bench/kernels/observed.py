"""Whether a call is traced, compiled or transformed: by a tracer, `torch.func`, a dispatch mode.

These support plain operations of torch, but not code that reads a tensor's memory by address, and
not our own `autograd.Function`s. Such calls are computed in plain operations instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import (
    TransformType,
    get_interpreter_stack,
    get_unwrapped,
    is_functorch_wrapped_tensor,
)
from torch.autograd import forward_ad

PLAIN = (Tensor, torch.nn.Parameter)  # subclasses may have no memory, or change what operations do


def observed(tensors: Iterable[Tensor]) -> bool:
    """True under `torch.compile`, `torch.export`, `torch.jit.trace`, `torch.func`, forward-mode
    derivatives, any dispatch mode (`make_fx`, `FakeTensorMode`), and for subclasses of tensors."""
    return (
        torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or _traced(tensors)
    )


def pointwise() -> bool:
    """True under `vmap` and forward-mode derivatives, which torch's recurrent kernels do not
    support. A loop of single operations runs instead."""
    levels = get_interpreter_stack() or ()
    batched = any(level.key() in (TransformType.Vmap, TransformType.Jvp) for level in levels)
    return batched or forward_ad._current_level >= 0


def symbolic(count: Any) -> bool:
    """Whether a size is a symbol: `torch.export` with dynamic shapes traces for all sizes at
    once."""
    return isinstance(count, torch.SymInt) and torch.compiler.is_exporting()


def size(count: Any) -> int:
    """A size of a shape as a number; a symbol as it is. Under `torch.jit.trace`, sizes are
    tensors."""
    return count if symbolic(count) else int(count)


def numbers(tensor: Tensor) -> Tensor | None:
    """The plain tensor behind one of `torch.func`; None where it holds no numbers to read."""
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    return None if tensor.device.type == "meta" or _traced((tensor,)) else tensor


def _traced(tensors: Iterable[Tensor]) -> bool:
    return (
        torch.compiler.is_compiling()
        or torch._C._is_tracing()  # torch.jit.trace
        or torch._C._len_torch_dispatch_stack() > 0
        or any(type(tensor) not in PLAIN for tensor in tensors)
    )
