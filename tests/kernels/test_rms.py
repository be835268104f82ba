"""The root mean square norm, against autograd of its definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.kernels.rms import plain, rms


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), scale=st.sampled_from([1e-4, 1, 1e4])
)
def test_it_is_its_definition_with_the_gradients_of_autograd(shape, scale):
    torch.manual_seed(0)
    x = (scale * torch.randn(shape, dtype=torch.float64)).requires_grad_()
    found, wanted = rms(x), plain(x)
    assert torch.equal(found, wanted)
    pair = [torch.autograd.grad(y.sin().sum(), x)[0] for y in (found, wanted)]
    assert torch.allclose(*pair, rtol=1e-9, atol=1e-12 / scale)


def test_gradients_have_gradients_and_come_as_a_batch():
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rms, x)
    assert torch.autograd.gradgradcheck(rms, x)
    y, seeds = rms(x)[0], torch.eye(4, dtype=torch.float64)
    (batch,) = torch.autograd.grad(y, x, seeds, is_grads_batched=True, retain_graph=True)
    for one, seed in zip(batch, seeds, strict=True):
        assert torch.allclose(one, torch.autograd.grad(y, x, seed, retain_graph=True)[0])


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_zeros_stay_zeros_and_what_is_not_finite_is_seen(value):
    x = torch.full((2, 3), value, requires_grad=True)
    y = rms(x)
    y.sum().backward()
    assert y.isfinite().all() == (value == 0)
    assert x.grad.isfinite().all() == (value == 0)
