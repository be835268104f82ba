"""A net without numbers: its tensors on the meta device have shapes and take no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture
    from drnn_bench.models.inputs import Net


class _NothingDrawn(TorchFunctionMode):
    """`normal_` does nothing. On the meta device it would import torch's compiler, which takes
    every process two seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is torch.Tensor.normal_:
            return args[0]
        if func is torch.nn.init.normal_:  # which a mode sees before the tensor's own
            return given["tensor"]
        return func(*args, **given)


def blank(architecture: Architecture) -> Net:
    """The net that `architecture` builds, on the meta device. It cannot compute."""
    with torch.device("meta"), _NothingDrawn():
        return architecture.build()
