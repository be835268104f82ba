"""Causal convolutions over blocks of sequences, beside the equation in double precision."""

from __future__ import annotations

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drnn_bench import kernels
from tests.support.cells import fused_or_skip
from tests.support.weighed import gradients, near


def slow(x_BTI, weight_CIk, dilation, bias_C, stride, relu):
    """y_t = b + sum_j W[:, :, k-1-j] x_{t-j*d}, tap by tap and step by step."""
    batch, steps, _ = x_BTI.shape
    rows = []
    for t in range((steps - 1) % stride, steps, stride):
        y = x_BTI.new_zeros(batch, len(weight_CIk)) if bias_C is None else bias_C.expand(batch, -1)
        for j in range(weight_CIk.shape[2]):
            if t - j * dilation >= 0:
                y = y + x_BTI[:, t - j * dilation] @ weight_CIk[:, :, -1 - j].T
        rows.append(y.relu() if relu else y)
    return torch.stack(rows, 1)


def fused(x_BTI, weight, bias, dilation, stride, relu):
    with kernels.forced("fused"):
        blocks = kernels.in_blocks(x_BTI, [weight])
    y = kernels.causal_conv(blocks, weight, dilation, bias, stride, relu)
    return kernels.out_of_blocks(y, len(x_BTI))


@settings(max_examples=60)
@example(batch=65, steps=40, inputs=5, channels=11, taps=3, dilation=4, stride=1, seed=0)
@example(batch=1, steps=9, inputs=1, channels=1, taps=2, dilation=9, stride=1, seed=0)
@example(batch=64, steps=33, inputs=3, channels=6, taps=2, dilation=1, stride=5, seed=0)
@given(
    batch=st.sampled_from([1, 2, 16, 64, 65, 130]),
    steps=st.integers(1, 40),
    inputs=st.integers(1, 12),
    channels=st.integers(1, 23),
    taps=st.integers(1, 7),
    dilation=st.integers(1, 45),
    stride=st.sampled_from([1, 1, 2, 3, 50]),
    seed=st.integers(0, 99),
)
def test_the_fused_kernel_is_the_equation_at_any_shape(
    batch, steps, inputs, channels, taps, dilation, stride, seed
):
    fused_or_skip("fused")
    dilation = dilation if stride == 1 else 1
    torch.manual_seed(seed)
    x, weight = torch.randn(batch, steps, inputs), torch.randn(channels, inputs, taps)
    bias, relu = torch.randn(channels), seed % 2 == 0
    # A ReLU's gradient jumps at zero, where rounding decides: the same outputs must be open.
    y, grads = gradients(lambda x, w, b: fused(x, w, b, dilation, stride, relu), (x, weight, bias))
    doubles = [t.double() for t in (x, weight, bias)]
    wanted, slow_grads = gradients(lambda x, w, b: slow(x, w, dilation, b, stride, relu), doubles)
    of_sizes = lambda x, w, b: slow(x, w, dilation, b, stride, False)  # noqa: E731
    bound, bounds = gradients(of_sizes, [t.abs() for t in doubles], absolute=True)
    assert near(y, wanted, bound, 1e-5)
    if not relu or torch.equal(y > 0, wanted > 0):
        assert all(near(*three, 1e-5) for three in zip(grads, slow_grads, bounds, strict=True))
