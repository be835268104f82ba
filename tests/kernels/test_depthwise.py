"""A convolution of each channel, against torch's own with as many groups as channels.

Legend: S steps read, B batch, E channels, k taps.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.kernels.depthwise import depthwise_conv
from drnn_bench.testing.nets import close
from tests.support.cells import fused_or_skip


def drawn(steps: int, batch: int, channels: int, taps: int, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(steps)
    seen_SBE = torch.randn(steps + taps - 1, batch, channels, dtype=dtype)
    weight_Ek, bias_E = torch.randn(channels, taps, dtype=dtype), torch.randn(channels, dtype=dtype)
    return [t.requires_grad_() for t in (seen_SBE, weight_Ek, bias_E)]


def oracle(seen_SBE: Tensor, weight_Ek: Tensor, bias_E: Tensor) -> Tensor:
    oldest_first_E1k = weight_Ek.flip(1).unsqueeze(1)
    y_BES = F.conv1d(seen_SBE.permute(1, 2, 0), oldest_first_E1k, bias_E, groups=len(bias_E))
    return y_BES.permute(2, 0, 1)


def agree(given_: list[Tensor], tolerance: float) -> None:
    found, wanted = depthwise_conv(*given_), oracle(*given_)
    assert close(found, wanted, tolerance)
    # a gradient that lies in memory as no kernel would have it
    pairs = [torch.autograd.grad(y.sin().transpose(0, 2).sum(), given_) for y in (found, wanted)]
    assert all(close(a, b, tolerance) for a, b in zip(*pairs, strict=True))


@pytest.mark.parametrize("kernel", ["fused", "torch"])
@given(
    steps=st.integers(1, 40), batch=st.integers(1, 5), channels=st.integers(1, 20),
    taps=st.integers(1, 6), threads=st.sampled_from([1, 3]),
)  # fmt: skip
def test_any_shape_gives_what_torch_gives(kernel, steps, batch, channels, taps, threads):
    fused_or_skip(kernel)
    with kernels.forced(kernel), kernels.shared(threads):
        agree(drawn(steps, batch, channels, taps, torch.float32), 1e-4)


def test_numbers_of_many_threads_are_those_of_one():
    fused_or_skip("fused")
    given_, found = drawn(64, 33, 30, 4, torch.float32), []
    for count in (1, 4):
        with kernels.shared(count):
            y = depthwise_conv(*given_)
            found.append([y, *torch.autograd.grad(y.sin().sum(), given_)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_have_gradients(dtype):
    given_, found = drawn(24, 2, 3, 4, dtype), []
    for conv in (depthwise_conv, oracle):
        (first,) = torch.autograd.grad(conv(*given_).sin().sum(), given_[1], create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), given_))
    assert all(close(a, b, 1e-4) for a, b in zip(*found, strict=True))


def test_some_need_no_gradient():
    seen, weight, bias = drawn(24, 2, 3, 4, torch.float32)
    y = depthwise_conv(seen.detach(), weight, bias.detach())
    y.sum().backward()
    assert close(
        weight.grad, torch.autograd.grad(oracle(seen, weight, bias).sum(), weight)[0], 1e-4
    )
