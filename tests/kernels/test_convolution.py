"""Causal convolutions over blocks of sequences, beside the equation in double precision."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drnn_bench import kernels
from tests.support.cells import fused_or_skip
from tests.support.weighed import gradients, near


def slow(x_BTI, weight_CIk, dilation, bias_C, steps, relu):
    """y_t = b + sum_j W[:, :, k-1-j] x_{t-j*d} of these steps, tap by tap and step by step."""
    rows = []
    for t in steps:
        y = bias_C.expand(len(x_BTI), -1)
        for j in range(weight_CIk.shape[2]):
            if t - j * dilation >= 0:
                y = y + x_BTI[:, t - j * dilation] @ weight_CIk[:, :, -1 - j].T
        rows.append(y.relu() if relu else y)
    return torch.stack(rows, 1)


def fused(x_BTI, weight, bias, taps, relu):
    with kernels.forced("fused"):
        blocks = kernels.in_blocks(x_BTI, [weight])
    return kernels.out_of_blocks(kernels.conv_at(blocks, weight, taps, bias, relu), len(x_BTI))


@settings(max_examples=60)
@example(batch=65, steps=40, inputs=5, channels=11, taps=3, dilation=4, wanted=None, seed=0)
@example(batch=1, steps=9, inputs=1, channels=1, taps=2, dilation=9, wanted=None, seed=0)
@example(batch=64, steps=33, inputs=3, channels=6, taps=2, dilation=5, wanted={32, 3}, seed=0)
@given(
    batch=st.sampled_from([1, 2, 16, 64, 65, 130]),
    steps=st.integers(1, 40),
    inputs=st.integers(1, 12),
    channels=st.integers(1, 23),
    taps=st.integers(1, 7),
    dilation=st.integers(1, 45),
    wanted=st.none() | st.sets(st.integers(0, 39), min_size=1),
    seed=st.integers(0, 99),
)
def test_the_fused_kernel_is_the_equation_at_any_shape(
    batch, steps, inputs, channels, taps, dilation, wanted, seed
):
    """`wanted`: the steps whose outputs there are; None: all."""
    fused_or_skip("fused")
    torch.manual_seed(seed)
    every = np.arange(steps)
    outputs = every if wanted is None else np.unique([t % steps for t in wanted])
    table = kernels.at_steps(every, outputs, taps, dilation)
    x, weight = torch.randn(batch, steps, inputs), torch.randn(channels, inputs, taps)
    bias, relu = torch.randn(channels), seed % 2 == 0
    # A ReLU's gradient jumps at zero, where rounding decides: the same outputs must be open.
    y, grads = gradients(lambda x, w, b: fused(x, w, b, table, relu), (x, weight, bias))
    doubles = [t.double() for t in (x, weight, bias)]
    wanted, slow_grads = gradients(lambda x, w, b: slow(x, w, dilation, b, outputs, relu), doubles)
    of_sizes = lambda x, w, b: slow(x, w, dilation, b, outputs, False)  # noqa: E731
    bound, bounds = gradients(of_sizes, [t.abs() for t in doubles], absolute=True)
    assert near(y, wanted, bound, 1e-5)
    if not relu or torch.equal(y > 0, wanted > 0):
        assert all(near(*three, 1e-5) for three in zip(grads, slow_grads, bounds, strict=True))


@settings(max_examples=40)
@given(
    taps=st.integers(1, 4),
    dilation=st.integers(1, 9),
    outputs=st.sets(st.integers(0, 30), min_size=1),
)
def test_rows_that_are_there_are_those_that_are_read(taps, dilation, outputs):
    """With the rows that are read and no others, each tap finds its step, and backward comes first
    to each row once."""
    outputs = np.array(sorted(outputs))
    steps = kernels.steps_read(outputs, taps, dilation)
    table = kernels.at_steps(steps, outputs, taps, dilation)
    read, first = set(), []
    for s in reversed(range(len(outputs))):
        for j in range(taps):
            step = outputs[s] - j * dilation
            assert (step >= 0) == (s >= table.starts_k[j])
            if step >= 0:
                row = table.rows_kS[j, s]
                assert steps[row] == step
                assert table.first_kS[j, s] == (row not in read)
                read.add(row)
                first.append(table.first_kS[j, s])
    assert sum(first) == len(steps)
    assert table.whole
    assert not kernels.at_steps(np.arange(-1, 31), outputs, taps, dilation).whole
