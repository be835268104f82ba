"""Families whose stacks go through the fused kernels in blocks of sequences, as users meet them."""

from __future__ import annotations

import pytest
import torch

from drnn_bench import kernels
from drnn_bench.models.build import build
from drnn_bench.testing.nets import close
from tests.support.cells import fused_or_skip
from tests.support.refused import refusal

EVERY = pytest.mark.parametrize("family", ["dilated_cnn", "tcn", "s4d", "lru"])


@pytest.fixture(autouse=True)
def _fused():
    fused_or_skip("fused")


def net(family: str, inputs: int = 1):
    torch.manual_seed(3)
    return build(family, input_size=inputs, output_size=2, depth=3, width=7)


def outcome(model, x, last=None):
    """The outputs and all gradients."""
    model.zero_grad()
    x = x.detach().requires_grad_()
    y = model(x, last=last)
    y.sin().sum().backward()
    return [y.detach(), x.grad, *(p.grad.clone() for p in model.parameters())]


@EVERY
@pytest.mark.parametrize("last", [None, 1, 10])
@pytest.mark.parametrize("length", [1, 16, 90])
def test_outputs_and_gradients_are_those_in_double_precision(family, length, last):
    model, x = net(family, 3), torch.randn(70, length, 3)
    last = last and min(last, length)
    with kernels.forced("fused"):
        got = outcome(model, x, last)
    wanted = outcome(model.double(), x.double(), last)
    assert close(got[0].double(), wanted[0], 1e-4)
    for mine, whole in zip(got[1:], wanted[1:], strict=True):
        assert close(mine.double(), whole, 1e-3)


@EVERY
def test_what_is_not_a_number_stays_so(family):
    """Through a ReLU too, in its own sequence alone, from its step on, as far as it is read. The
    products of torch's path spread it over a chunk of an LRU or S4D."""
    model, x = net(family), torch.randn(70, 20, 1)
    x[66, 9] = float("nan")
    seen = []
    for name in ("torch", "fused"):
        with kernels.forced(name):
            seen.append(torch.isnan(model(x)))
    assert seen[1][66, 9].all()
    assert not seen[1][66, :9].any()
    assert not seen[1][:66].any()
    if family in ("dilated_cnn", "tcn"):
        assert torch.equal(*seen)


@EVERY
def test_nothing_of_the_inputs_gradient_is_computed_where_none_is_asked_for(family):
    model = net(family, 3)
    with kernels.forced("fused"):
        model(torch.randn(64, 20, 3)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@EVERY
def test_threads_share_the_blocks_and_give_the_same_bits(family):
    model, x, seen = net(family, 3), torch.randn(300, 30, 3), []
    for count in (1, 3):
        with kernels.forced("fused"), kernels.shared(count):
            seen.append(outcome(model, x))
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


@EVERY
def test_it_is_chosen_where_blocks_are_full_and_the_record_says_so(family):
    model = net(family)
    kernels.used()
    for batch, chosen in ((128, "fused"), (1, "")):
        model(torch.randn(batch, 70, 1))
        assert kernels.used() == chosen
    assert kernels.to_compile(model, 70) == []  # all is compiled by now


@pytest.mark.parametrize(("family", "steps"), [("s4d", 48), ("lru", 16)])
def test_only_kernels_that_run_are_to_be_compiled(family, steps, monkeypatch):
    monkeypatch.setattr("drnn_bench.kernels.compiled.is_compiled", lambda name: False)
    assert kernels.to_compile(net(family), steps - 1) == []
    assert kernels.to_compile(net(family), steps) == [kernels.CONVOLUTION, kernels.DIAGONAL]


@pytest.mark.parametrize(("family", "steps"), [("s4d", 47), ("lru", 15)])
def test_few_steps_are_products(family, steps):
    kernels.used()
    net(family)(torch.randn(128, steps, 1))
    assert kernels.used() == ""


@EVERY
def test_a_gradient_of_its_gradient_is_refused_with_what_to_do(family):
    model, x = net(family), torch.randn(64, 20, 1, requires_grad=True)
    with kernels.forced("fused"):
        y = model(x).sum()
    said = refusal(lambda: torch.autograd.grad(y, x, create_graph=True))
    assert 'forced("torch")' in said
    with kernels.forced("torch"):
        [first] = torch.autograd.grad(model(x).sin().sum(), x, create_graph=True)
        assert torch.autograd.grad(first.sum(), x)[0].isfinite().all()


@EVERY
def test_what_hooks_keep_in_place_of_what_was_saved_is_read_in_backward(family):
    """As where activations are offloaded: by then the tensors of the forward pass are gone."""
    model, x = net(family, 3), torch.randn(70, 90, 3)
    with kernels.forced("fused"):
        wanted = outcome(model, x)
        with torch.autograd.graph.saved_tensors_hooks(torch.clone, torch.clone):
            got = outcome(model, x)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))
