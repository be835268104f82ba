"""Checks of what a net is given.

`checked` puts them in front of the `forward` and `stream` of every net that is built, plug-ins'
nets too. It derives a class from the net's own; the parameters keep their names.

Legend: B batch, T steps, I inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, cast

import torch
from torch import Tensor, nn

from drnn_bench import kernels
from drnn_bench.errors import UserError, one_line
from drnn_bench.kernels.checks import check_count
from drnn_bench.models.streaming import State

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture

WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)  # dtypes of symbols
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)  # dtypes of weights


class Net(nn.Module):
    """A net as `Architecture.build` makes it. In the order of methods, this class stands before
    the net's own.

    A net computes in the dtype of its weights, under autocast too. Under autocast its inputs may
    have any real dtype; the logits have that of the weights.
    """

    built_from_: Architecture
    takes_symbols: bool  # whether inputs may be symbols [B, T]; of the net's own class

    def forward(self, x_BTI: Tensor, last: int | None = None) -> Tensor:
        """Logits (B, T, O), or of the last `last` steps; raises UserError for wrong inputs."""
        x_BTI, _ = _inputs(self, x_BTI)
        if last is not None:
            check_count("last", last, kernels.size(x_BTI.shape[1]))
            last = kernels.size(last)
        return _run(self, super().forward, x_BTI, last=last)

    def stream(self, x_BTI: Tensor, state: Any = None) -> tuple[Tensor, State]:
        """Logits (B, T, O) of the next T steps, and the state after them. `state`: that after the
        steps before, or None. Raises UserError for wrong inputs or a state of another net."""
        x_BTI, dtype = _inputs(self, x_BTI)
        fits = {"of": self.built_from_, "batch": x_BTI.shape[0], "dtype": dtype}
        if state is not None:
            if not isinstance(state, State):
                words = "what stream gave before, or None to begin"
                raise UserError(f"a state must be {words}; got {type(state).__name__}")
            single = x_BTI.shape[1] == 1 and not torch.is_grad_enabled()
            state = state.take(**fits, consume=single)
        own: Any = super()  # the net's own class
        y_BTO, parts = _run(self, own.stream, x_BTI, state)
        return y_BTO, State(parts, **fits)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple:
        """Pickles the net with its own class: unlike the derived one, it is found by its name."""
        classes = type(self).__mro__
        own = classes[classes.index(Net) + 1]
        return _blank, (own, classes[1]), self.__getstate__()


def checked(module: nn.Module, architecture: Architecture) -> Net:
    """The same module, which from now on raises UserError, one line, for what it does not take.

    It takes numbers [B, T, I] of its dtype and device, or symbols [B, T]; `last` from 1 to T; a
    state that its own `stream` returned, of as many sequences.
    """
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise UserError(f"{architecture.family}: network() gives no nn.Module, got {kind}")
    module.__class__ = _derived(type(module), Net)
    net = cast("Net", module)
    net.built_from_ = architecture
    return net


N = TypeVar("N", bound=Net)


def with_methods(net: Net, of: type[N]) -> N:
    """The same net, which from now on has the methods of a subclass of `Net` too."""
    classes = type(net).__mro__
    net.__class__ = _derived(classes[classes.index(Net) + 1], of)
    return cast("N", net)


@cache
def _derived(kind: type[nn.Module], first: type[Net]) -> type[Net]:
    """A class of its own, in which the methods of `first` stand before those of `kind`."""
    return type(kind.__name__, (first, kind), {"__module__": kind.__module__})


def _blank(kind: type[nn.Module], first: type[Net] = Net) -> Net:
    """A net without any attributes, which pickle then restores."""
    derived = _derived(kind, first)
    return derived.__new__(derived)


def _inputs(net: Net, x: Tensor) -> tuple[Tensor, torch.dtype | None]:
    """The checked inputs in the dtype of the computation (symbols as int64), and that dtype: the
    real one of the weights; None without weights."""
    architecture, symbols = net.built_from_, getattr(net, "takes_symbols", False)
    family, inputs = architecture.family, architecture.input_size
    if not isinstance(x, Tensor):
        raise UserError(f"{family} takes a tensor, got {type(x).__name__}")
    if x.layout is not torch.strided:
        raise UserError(f"{family} takes a dense tensor, got {x.layout}")
    whole = x.dim() == 2 and symbols and x.dtype in WHOLE
    if not whole and x.dim() != 3:
        accepted = f"(batch, steps, {inputs})" + " or symbols (batch, steps)" * symbols
        raise UserError(f"{family} takes {accepted}, got {x.dtype} of shape {tuple(x.shape)}")
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
    """The first floating-point parameter. Several times as fast as `next(net.parameters())`."""
    for weight in net._parameters.values():
        if weight is not None and (weight.is_floating_point() or weight.is_complex()):
            return weight
    for part in net._modules.values():
        weight = None if part is None else _first_weight(part)
        if weight is not None:
            return weight
    return None


def _run(net: Net, method: Callable, x: Tensor, *rest: Any, **options: Any) -> Any:
    """Calls the net's own method without autocast: in bfloat16 long memories are lost, and the
    kernels take one dtype only. Where torch raises an error because a weight was changed, it
    becomes a UserError that names the weight."""
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


def _changed(net: Net) -> str | None:
    """Names the first weight whose shape is not that of the built net, or whose device or dtype is
    not that of the first weight; None where there is none."""
    architecture, first = net.built_from_, _first_weight(net)
    if first is None:
        return None
    weights = dict(net.named_parameters())
    from drnn_bench.models.blank import blank

    built = dict(blank(architecture).named_parameters())
    for name, original in built.items():
        weight = weights.get(name)
        if weight is None:
            continue
        of = f"{architecture.family}: weight {name}"
        if weight.shape != original.shape:
            return f"{of} has shape {tuple(weight.shape)}, was built with {tuple(original.shape)}"
        if weight.device != first.device:
            return f"{of} is on {weight.device}, the first weight on {first.device}"
        if weight.dtype.to_real() != first.dtype.to_real():
            return f"{of} is {weight.dtype}, the first weight {first.dtype}"
    return None
