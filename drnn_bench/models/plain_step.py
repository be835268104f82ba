"""One step of a net's stream as a function of tensors: what `torch.export` and ONNX take.

`stream` carries a state of Python objects, and single steps overwrite it in place. Here the state
is a tuple of tensors, which go in and come out; before the first step all of them are zeros.

Nets whose state is more than tensors and rings of them say themselves what a step is:

    plain_step(x_B1I, *state) -> (y_B1O, (state after it))
    plain_state(batch) -> {name: the tensor before the first step}

Of all others, those of plug-ins too, it follows from `stream`.

Legend: B batch, I inputs, O outputs, H units.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from drnn_bench import kernels
from drnn_bench.errors import UserError
from drnn_bench.models.embedding import Embedded
from drnn_bench.models.inputs import Net
from drnn_bench.models.streaming import Ring, mapped, tensors_of

State = tuple[Tensor, ...]
CLOSE = 1e-4  # of the largest output: how near the first steps from zeros are to those of `stream`


class PlainStep(nn.Module):
    """`step(x_B1I, *state)` gives (y_B1O, *state after it), for inputs of one step (or symbols
    [B, 1]). The same weights as the net's.

        >>> net = drnn_bench.build("gru", input_size=3, output_size=2, width=8)
        >>> step = PlainStep(net)
        >>> with torch.no_grad():
        ...     program = torch.export.export(step, step.example(), dynamic_shapes=step.dynamic())

    names:  of the state's tensors. A ring [size, B, H] has its oldest row first.
    Trace it without gradients, as a stream's single steps run without them.
    Raises UserError for a net whose stream is no such function: its state grows, counts in Python
    numbers, or does not begin as zeros.
    """

    def __init__(self, net: Net):
        super().__init__()
        self.net = net
        own = hasattr(_inner(net), "plain_step")
        self._layout = None if own else Layout(net)
        self.names = tuple(self.first(1))
        if not own:
            self._check_first_steps()

    def forward(self, x_B1I: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        if self._layout is None:
            x_B1I = self.net.embed(x_B1I) if isinstance(self.net, Embedded) else x_B1I
            y_B1O, after = _inner(self.net).plain_step(x_B1I, *state)
            return y_B1O, *after
        parts = self._layout.parts(state, x_B1I)
        with kernels.forced("reference"):  # it is made of a cell's own operations
            y_B1O, parts = own_stream(self.net, x_B1I, parts)
        return y_B1O, *self._layout.carried(parts)

    def first(self, batch: int) -> dict[str, Tensor]:
        """The state before the first step of so many sequences, by names."""
        if self._layout is None:
            return _inner(self.net).plain_state(batch)
        return self._layout.first(batch)

    def batch_axes(self) -> dict[str, int | None]:
        """Which axis of each tensor of the state is the batch; None: it has none."""
        one, two = self.first(1), self.first(2)
        return {name: _axis(one[name].shape, two[name].shape) for name in one}

    def growing(self) -> dict[str, int]:
        """The axis of each tensor of the state that a step makes longer: of attention to all steps
        so far."""
        return {name: t.shape.index(0) for name, t in self.first(1).items() if 0 in t.shape}

    def example(self, batch: int = 2) -> tuple[Tensor, ...]:
        """Inputs to trace it with: a step of zeros, and a state of zeros."""
        state = self.first(batch)
        for name, axis in self.growing().items():
            shape = [*state[name].shape]
            shape[axis] = 3
            state[name] = state[name].new_zeros(shape)
        return _zeros(self.net, batch, 1), *state.values()

    def dynamic(self) -> dict[str, Any]:
        """The dynamic shapes of `example`, as torch.export takes them."""
        any_size = torch.export.Dim.DYNAMIC
        axes, growing = self.batch_axes(), self.growing()
        return {
            "x_B1I": {0: any_size},
            "state": tuple(
                {axis: any_size for axis in (axes[name], growing.get(name)) if axis is not None}
                for name in self.names
            ),
        }

    def _check_first_steps(self) -> None:
        generator = torch.Generator().manual_seed(0)
        x_BTI = _zeros(self.net, 2, 3)
        x_BTI += torch.randn(x_BTI.shape, generator=generator).to(x_BTI)
        with torch.no_grad():
            wanted_BTO, _ = own_stream(self.net, x_BTI[:, :1], None)
            got_BTO, *_ = self(x_BTI[:, :1], *self.first(2).values())
        worst = (got_BTO - wanted_BTO).abs().max()
        if not worst <= CLOSE * wanted_BTO.abs().max().clamp(min=1):
            raise UserError(
                f"{self.net.built_from_.family}: a state of zeros is not how its stream begins; "
                "such a state cannot be given as tensors"
            )


class Layout:
    """How the state of a net's stream is made of tensors, from what it is once the net has seen as
    many steps as it looks back."""

    def __init__(self, net: Net):
        family, steps = net.built_from_.family, net.built_from_.longest_span + 1
        with torch.no_grad():
            self.template, wider = (
                own_stream(net, _zeros(net, batch, steps), None)[1] for batch in (1, 2)
            )
            _, later = own_stream(net, _zeros(net, 1, 1), mapped(self.template, Tensor.clone))
        if _outline(self.template) != _outline(later):
            raise UserError(
                f"{family}: the state of its stream grows, or counts in Python numbers; such a "
                "state cannot be given as tensors of fixed shapes"
            )
        pairs = zip(tensors_of(self.template), tensors_of(wider), strict=True)
        self.shapes = [([*one.shape], _axis(one.shape, two.shape)) for one, two in pairs]

    def first(self, batch: int) -> dict[str, Tensor]:
        like = next(iter(tensors_of(self.template)), None)
        if like is None:  # the net remembers nothing
            return {}
        zeros = (self._zeros(i, batch, like) for i in range(len(self.shapes)))
        return {f"state_{i}": t for i, t in enumerate((t for t in zeros if t.numel()), 1)}

    def parts(self, state: State, x_B1I: Tensor) -> Any:
        """The state as `stream` takes it, from the tensors that are carried."""
        given, batch = iter(state), x_B1I.shape[0]
        rows = iter(
            [
                next(given) if 0 not in shape else self._zeros(i, batch, x_B1I)
                for i, (shape, _) in enumerate(self.shapes)
            ]
        )
        return mapped(self.template, lambda _: next(rows))

    def carried(self, parts: Any) -> State:
        """The tensors that are carried, of a state that `stream` gave."""
        pairs = zip(tensors_of(parts), self.shapes, strict=True)
        return tuple(tensor for tensor, (shape, _) in pairs if 0 not in shape)

    def _zeros(self, place: int, batch: int, like: Tensor) -> Tensor:
        shape, axis = self.shapes[place]
        if axis is not None:
            shape = [batch if i == axis else n for i, n in enumerate(shape)]
        return like.new_zeros(shape, dtype=tensors_of(self.template)[place].dtype)


def _inner(net: Net) -> Any:
    """The net behind a table, where there is one."""
    return net.net if isinstance(net, Embedded) else net


def own_stream(net: Net, x_BTI: Tensor, parts: Any) -> tuple[Tensor, Any]:
    """`stream` of the net's own class, without checks: outputs, and the parts of the state."""
    own: Any = super(Net, net)
    return own.stream(x_BTI, parts)


def _zeros(net: Net, batch: int, steps: int) -> Tensor:
    return next(net.parameters()).new_zeros(batch, steps, net.built_from_.input_size)


def _outline(parts: Any) -> Any:
    """A state with the shapes of its tensors in their places."""
    if isinstance(parts, Tensor):
        return tuple(parts.shape)
    if isinstance(parts, Ring):
        return [tuple(row.shape) for row in parts.rows]
    if isinstance(parts, dict):
        return {name: _outline(part) for name, part in parts.items()}
    return [_outline(part) for part in parts] if isinstance(parts, list | tuple) else parts


def _axis(one: torch.Size, two: torch.Size) -> int | None:
    """The axis along which two shapes differ."""
    return next((i for i, pair in enumerate(zip(one, two, strict=True)) if len({*pair}) > 1), None)
