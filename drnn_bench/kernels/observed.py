"""Whether somebody watches or transforms a call: a tracer, a compiler, `torch.func`, a mode.

Code that reads tensors at their address, and every `autograd.Function` of ours, then gives way to
plain operations of torch, which all of these understand.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch._C._functorch import (
    TransformType,
    get_interpreter_stack,
    get_unwrapped,
    is_functorch_wrapped_tensor,
)
from torch.autograd import forward_ad

PLAIN = (Tensor, torch.nn.Parameter)  # other classes may have no memory (fake tensors), or a twist


def observed(tensors: Iterable[Tensor]) -> bool:
    """True under `torch.compile`, `torch.export`, `torch.jit.trace`, `torch.func`, forward-mode
    derivatives, any dispatch mode (`make_fx`, `FakeTensorMode`), and for subclasses of tensors."""
    return (
        torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or _traced(tensors)
    )


def pointwise() -> bool:
    """True under `vmap` and forward-mode derivatives, for which torch's recurrent kernels have no
    rule: a loop of single operations is left."""
    levels = get_interpreter_stack() or ()
    batched = any(level.key() in (TransformType.Vmap, TransformType.Jvp) for level in levels)
    return batched or forward_ad._current_level >= 0


def numbers(tensor: Tensor) -> Tensor | None:
    """The numbers of a tensor, from within `torch.func` too; None where there are none to read."""
    while is_functorch_wrapped_tensor(tensor):
        tensor = get_unwrapped(tensor)
    return None if tensor.device.type == "meta" or _traced((tensor,)) else tensor


def _traced(tensors: Iterable[Tensor]) -> bool:
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch._C._len_torch_dispatch_stack() > 0
        or any(type(tensor) not in PLAIN for tensor in tensors)
    )
