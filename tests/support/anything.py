"""Anything at all into nets and kernels: an answer equal to torch's, or a refusal in one line.

`models/test_inputs.py` runs this in a process of its own, where a crash is a failure and no more.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench import kernels
from drnn_bench.errors import UserError
from drnn_bench.models.names import FAMILIES
from drnn_bench.models.streaming import detach
from drnn_bench.testing.nets import (
    INPUTS,
    close,
    doubled,
    make,
)
from tests.support.cells import CELLS, weights_of
from tests.support.nets import NETS

torch.set_num_threads(1)
KERNELS = st.sampled_from(["auto", "torch", "fused"])
WRONG_SIZES = st.sampled_from([0, 1, 2, 4, 7, 100])
DTYPES = st.sampled_from(
    [torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.bool, torch.int64]
)
SYMBOLS = st.sampled_from([-(2**63), -(10**8), -1, 3, 4, 127, 255, 10**8, 2**31, 2**63 - 1])


def rarely(right, wrong):
    """Mostly what is right: of several arguments, few are wrong at a time."""
    return st.integers(0, 7).flatmap(lambda i: wrong if i == 0 else right)


def laid_out(x: torch.Tensor, how: str) -> torch.Tensor:
    """The same numbers, or some of them again, at other addresses."""
    if how == "turned":
        dims = tuple(reversed(range(x.dim())))
        return x.permute(dims).contiguous().permute(dims)
    if how == "gaps":
        return torch.stack([x, x], -1)[..., 0]
    if how == "every other" and x.dim() > 1:
        return torch.cat([x, x], 1)[:, ::2]
    if how == "expanded" and len(x):
        return x[:1].expand(x.shape)
    if how == "offset":
        return torch.cat([x.flatten()[:1], x.flatten()])[1:].view(x.shape) if x.numel() else x
    if how == "negative" and x.is_floating_point():
        return torch.complex(x, x).conj().imag if x.dtype == torch.float32 else x
    return x


LAYOUTS = st.sampled_from(
    ["plain", "turned", "gaps", "every other", "expanded", "offset", "negative"]
)


@st.composite
def inputs(draw, symbolic: bool):
    batch = draw(rarely(st.sampled_from([1, 2, 16, 65]), WRONG_SIZES))
    steps = draw(rarely(st.integers(1, 40), WRONG_SIZES))
    torch.manual_seed(draw(st.integers(0, 99)))
    if symbolic and draw(st.booleans()):
        dtype = draw(st.sampled_from([torch.int64, torch.uint8, torch.int32]))
        x = torch.randint(INPUTS, (batch, steps)).to(dtype)
        if x.numel() and draw(st.integers(0, 3)) == 0:
            wrong = draw(SYMBOLS)
            if torch.iinfo(dtype).min <= wrong <= torch.iinfo(dtype).max:
                x.view(-1)[draw(st.integers(0, x.numel() - 1))] = wrong
    else:
        x = torch.randn(batch, steps, draw(rarely(st.just(INPUTS), WRONG_SIZES)))
    x = laid_out(x, draw(LAYOUTS))
    x = x.to(draw(rarely(st.just(x.dtype), DTYPES)))
    x = x.to(draw(rarely(st.just("cpu"), st.just("meta"))))
    return draw(rarely(st.just(x), st.just(x.unsqueeze(0))))


def reference(model, x, last):
    """Torch's kernels in double precision, over plain memory."""
    model = doubled(model)
    x = x.clone(memory_format=torch.contiguous_format)
    with kernels.forced("torch"):
        return model(x.double() if x.is_floating_point() else x, last=last)


@settings(max_examples=100)
@given(
    family=st.sampled_from(list(FAMILIES)),
    kernel=KERNELS,
    chunked=st.booleans(),
    graded=st.booleans(),
    last=st.none() | st.integers(-2, 50),
    data=st.data(),
)
def test_a_net_answers_or_refuses(family, kernel, chunked, graded, last, data):
    options = NETS[family][data.draw(st.integers(0, len(NETS[family]) - 1))]
    model = make(family, options)
    x = data.draw(inputs(getattr(model, "takes_symbols", False)))
    if data.draw(st.integers(0, 3)) == 0:
        for weight in model.parameters():
            weight.data = laid_out(weight.data, data.draw(LAYOUTS))
    try:
        with kernels.forced(kernel), torch.set_grad_enabled(graded):
            if chunked:
                at, state, parts = 0, None, []
                while at < max(1, x.shape[1]):
                    size = data.draw(st.integers(1, 20))
                    y, state = model.stream(x[:, at : at + size], detach(state))
                    parts.append(y)
                    at += size
                y, last = torch.cat(parts, 1), None
            else:
                y = model(x, last=last)
            if graded:
                y.sin().sum().backward()
    except UserError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return
    assert x.device.type == "cpu"
    assert last is None or 1 <= last <= x.shape[1]
    grads = [p.grad for p in model.parameters()] if graded else []
    model.zero_grad()
    wanted = reference(model, x, last)
    assert y.shape == wanted.shape
    assert close(y.double(), wanted, 1e-4)
    if graded and not chunked:
        wanted.sin().sum().backward()
        for got, p in zip(grads, model.parameters(), strict=True):
            assert got is None or close(got.double(), p.grad, 1e-3)


@settings(max_examples=100)
@given(cell=st.sampled_from(CELLS), kernel=KERNELS, graded=st.booleans(), data=st.data())
def test_a_kernel_answers_or_refuses(cell, kernel, graded, data):
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 99)))
    steps, batch = draw(st.integers(1, 30)), draw(st.sampled_from([1, 3, 64, 65]))
    sizes = draw(st.lists(st.sampled_from([1, 3, 8, 20]), min_size=2, max_size=3))
    weights = weights_of(cell, tuple(sizes))
    dilations = [draw(st.integers(1, 40)) for _ in weights]

    def spoilt(tensor: torch.Tensor) -> torch.Tensor:
        """Mostly as it is."""
        if draw(st.integers(0, 19)) or not tensor.numel():
            return laid_out(tensor, draw(LAYOUTS)) if tensor.dim() > 1 else tensor
        how = draw(st.sampled_from(["cut", "longer", "dtype", "meta", "flat"]))
        if how == "cut":
            return tensor[tuple(slice(draw(st.integers(0, 1)), None) for _ in tensor.shape)]
        if how == "longer":
            return torch.cat([tensor, tensor], draw(st.integers(0, tensor.dim() - 1)))
        return tensor.to(draw(DTYPES)) if how == "dtype" else (
            tensor.to("meta") if how == "meta" else tensor.flatten()
        )  # fmt: skip

    x = torch.randn(steps, batch, sizes[0])
    if draw(st.booleans()):
        x = torch.randint(sizes[0] + draw(st.integers(0, 1)), (steps, batch))
    rows, length = [], steps
    for _ in weights:
        low, high = draw(rarely(st.just((0, length - 1)), st.just((-5, length + 5))))
        taken = draw(st.none() | st.lists(st.integers(low, high), min_size=1, max_size=20))
        rows.append(None if taken is None else np.array(taken))
        length = length if taken is None else len(taken)
    states = None
    if draw(st.booleans()):
        states = [
            tuple(spoilt(torch.rand(s, batch, h)) for _ in range(cell.states))
            for s, h in zip(dilations, sizes[1:], strict=True)
        ]
    dilations = [draw(rarely(st.just(s), st.integers(-2, 50))) for s in dilations]
    last = draw(st.none() | st.integers(1, length) | st.integers(-1, 40))
    weights = [tuple(spoilt(w).requires_grad_(False) for w in layer) for layer in weights]
    if graded:
        weights = [
            tuple(w.requires_grad_() if w.is_floating_point() else w for w in layer)
            for layer in weights
        ]
    x, call = spoilt(x), {"rows": rows, "last": last}
    try:
        with kernels.forced(kernel):
            y, left = kernels.stack(cell, x, weights, dilations, states=states, **call)
            if graded:
                sum(t.sin().sum() for t in [y, *itertools.chain(*left)]).backward()
    except UserError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return
    double = lambda t: t.detach().double().clone()  # noqa: E731
    again = [tuple(map(double, layer)) for layer in weights]
    before = states and [tuple(map(double, state)) for state in states]
    with kernels.forced("reference"):
        wanted, _ = kernels.stack(
            cell, double(x) if x.is_floating_point() else x, again, dilations, states=before, **call
        )
    assert y.shape == wanted.shape
    assert (y - wanted).abs().max() <= (1e-4 if y.dtype == torch.float32 else 0.1)
