"""What a net may be given, and the one place where that is checked: every net that is built.

`checked` puts the check in front of a net's `forward` and `stream`, whatever family it is of, a
plug-in's too: the net's class is derived once more, and its parameters keep their names.

Legend: B batch, T steps, I inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from drnn_bench import kernels
from drnn_bench.errors import UserError, one_line
from drnn_bench.kernels.checks import check_count
from drnn_bench.models.streaming import State

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)  # what symbols may be
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)  # what weights may be


class Checked:
    """Before the net's own class in the order of methods.

    Nets compute in the dtype of their weights, under autocast too: there inputs of any real dtype
    are taken, and the logits are of the weights' dtype.
    """

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        x_BTI, _ = _inputs(self, x_BTI)
        if last is not None:
            check_count("last", last, int(x_BTI.shape[1]))
            last = int(last)
        return _run(self, super().forward, x_BTI, last=last)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, State]:
        x_BTI, dtype = _inputs(self, x_BTI)
        fits = {"of": self.built_from_, "batch": x_BTI.shape[0], "dtype": dtype}
        if state is not None:
            if not isinstance(state, State):
                words = "what stream gave before, or None to begin"
                raise UserError(f"a state must be {words}; got {type(state).__name__}")
            single = x_BTI.shape[1] == 1 and not torch.is_grad_enabled()
            state = state.take(**fits, consume=single)
        y_BTO, parts = _run(self, super().stream, x_BTI, state)
        return y_BTO, State(parts, **fits)

    def __reduce_ex__(self, protocol: int) -> tuple:
        """By the net's own class, which can be found by its name."""
        return _blank, (type(self).__mro__[2],), self.__getstate__()


def checked(net: nn.Module, config: Architecture) -> nn.Module:
    """The net itself, which from now on refuses in one line (UserError) what it does not take:
    numbers [B, T, I] of its dtype and device, or symbols [B, T]; `last` from 1 to T; a state that
    its own stream left, of as many sequences."""
    if not isinstance(net, nn.Module):
        raise UserError(f"{config.family}: network() gives no nn.Module, got {type(net).__name__}")
    net.built_from_ = config
    net.__class__ = _derived(type(net))
    return net


@cache
def _derived(kind: type) -> type:
    return type(kind.__name__, (Checked, kind), {"__module__": kind.__module__})


def _blank(kind: type) -> nn.Module:
    kind = _derived(kind)
    return kind.__new__(kind)


def _inputs(net: Any, x: Tensor) -> tuple[Tensor, torch.dtype | None]:
    """The inputs as they are computed with (symbols as int64), and the dtype of that."""
    config, symbols = net.built_from_, getattr(net, "takes_symbols", False)
    family, inputs = config.family, config.input_size
    if not isinstance(x, Tensor):
        raise UserError(f"{family} takes a tensor, got {type(x).__name__}")
    if x.layout is not torch.strided:
        raise UserError(f"{family} takes a dense tensor, got {x.layout}")
    whole = x.dim() == 2 and symbols and x.dtype in WHOLE
    if not whole and x.dim() != 3:
        wanted = f"(batch, steps, {inputs})" + " or symbols (batch, steps)" * symbols
        raise UserError(f"{family} takes {wanted}, got {x.dtype} of shape {tuple(x.shape)}")
    if not whole and x.shape[2] != inputs:
        raise UserError(f"{family} takes {_many(inputs, 'channel')}, got {x.shape[2]}")
    for place, word in enumerate(("sequence", "step")):
        if x.shape[place] == 0:
            raise UserError(f"{family} takes at least one {word}, got none")
    weight = _first_weight(net)
    if weight is None:
        return (x.long() if whole else x), None
    dtype = weight.dtype.to_real()
    if dtype not in getattr(net, "dtypes", FLOATS):
        names = ", ".join(str(known) for known in getattr(net, "dtypes", FLOATS))
        raise UserError(f"{family} computes in {names}, and its weights are {dtype}")
    if x.device != weight.device:
        raise UserError(f"{family} has its weights on {weight.device}, got inputs on {x.device}")
    if whole:
        x = x.long()
        kernels.check_symbols(x, inputs, family)
    elif x.dtype != dtype:
        if not (x.dtype in FLOATS and torch.is_autocast_enabled(x.device.type)):
            raise UserError(f"{family} takes {dtype}, as its weights are, got {x.dtype}")
        x = x.to(dtype)
    return x, dtype


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _first_weight(net: nn.Module) -> Tensor | None:
    """Of the floating-point ones; several times as fast as `next(net.parameters())`."""
    for weight in net._parameters.values():
        if weight is not None and (weight.is_floating_point() or weight.is_complex()):
            return weight
    for part in net._modules.values():
        weight = None if part is None else _first_weight(part)
        if weight is not None:
            return weight
    return None


def _run(net: Any, method: Callable, x: Tensor, *rest: Any, **options: Any) -> Any:
    """The net's own method, without autocast: in its bfloat16 long memories are lost, and kernels
    take no mixture. What torch refuses is said of the weight that was changed, if one was."""
    kind = x.device.type
    try:
        if kind == "meta" or not torch.is_autocast_enabled(kind):
            return method(x, *rest, **options)
        with torch.autocast(kind, enabled=False):
            return method(x, *rest, **options)
    except UserError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        changed = _changed(net)
        if changed is None:
            raise
        raise UserError(f"{changed} ({one_line(error)[:100]})") from error


def _changed(net: Any) -> str | None:
    """The first weight that is not as the net was built, or not as the first one is."""
    config = net.built_from_
    first, now = _first_weight(net), dict(net.named_parameters())
    with torch.device("meta"):
        built = dict(config.build().named_parameters())
    for name, was in built.items():
        weight = now.get(name)
        if weight is None:
            continue
        of = f"{config.family}: weight {name}"
        if weight.shape != was.shape:
            return f"{of} has shape {tuple(weight.shape)}, was built with {tuple(was.shape)}"
        if weight.device != first.device:
            return f"{of} is on {weight.device}, the first weight on {first.device}"
        if weight.dtype.to_real() != first.dtype.to_real():
            return f"{of} is {weight.dtype}, the first weight {first.dtype}"
    return None
