"""Diagonal recurrences over blocks of sequences, beside the equations in double precision."""

from __future__ import annotations

import math
from functools import partial

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from drnn_bench import kernels
from drnn_bench.testing.nets import close
from tests.support.cells import fused_or_skip
from tests.support.weighed import gradients, near


def s4d(u_KTHL, a_HN2, w_HN2, d_H, mix_HM, first, activation=F.gelu):
    """u_t + W gelu(y_t) + b for y_t = d u_t + sum of Re(w s_t), s_t = a s_(t-1) + u_t, in real
    numbers, step by step."""
    a_re, a_im, w_re, w_im = (t.unsqueeze(2) for t in (*a_HN2.unbind(2), *w_HN2.unbind(2)))
    re = im = torch.zeros(())
    answers = []
    for u_KHL in u_KTHL.unbind(1):
        re, im = a_re * re - a_im * im + u_KHL.unsqueeze(2), a_re * im + a_im * re
        y_KHL = d_H[:, None] * u_KHL + (w_re * re - w_im * im).sum(2)
        answers.append(u_KHL + mix_HM[:, :-1] @ activation(y_KHL) + mix_HM[:, -1:])
    return torch.stack(answers[first:], 1)


def lru(u_KTHL, a_N2, b_SH, c_HS, d_H, mix_PM, first):
    """u_t + p_t sigmoid(q_t) for (p_t, q_t) = W gelu(y_t) + b, y_t = C x_t + d v_t and
    x_t = a x_(t-1) + B v_t, v being u with mean 0 and variance 1 over the channels."""
    v_KTHL = u_KTHL - u_KTHL.mean(2, keepdim=True)
    v_KTHL = v_KTHL / (v_KTHL.square().mean(2, keepdim=True) + 1e-5).sqrt()
    y_KTHL = read(v_KTHL, a_N2, b_SH, c_HS, d_H)
    p_KTHL, q_KTHL = (mix_PM[:, :-1] @ F.gelu(y_KTHL) + mix_PM[:, -1:]).chunk(2, 2)
    return (u_KTHL + p_KTHL * q_KTHL.sigmoid())[:, first:]


def read(v_KTHL, a_N2, b_SH, c_HS, d_H):
    """C x_t + d v_t, step by step."""
    a_re, a_im = a_N2[:, :1], a_N2[:, 1:]
    re = im = torch.zeros(())
    answers = []
    for v_KHL in v_KTHL.unbind(1):
        read_re, read_im = (b_SH @ v_KHL).unflatten(1, (-1, 2)).unbind(2)
        re, im = a_re * re - a_im * im + read_re, a_re * im + a_im * re + read_im
        answers.append(c_HS @ torch.stack([re, im], 2).flatten(1, 2) + d_H[:, None] * v_KHL)
    return torch.stack(answers, 1)


def lru_bound(given_KTHL, first):
    """Of sizes of inputs and weights, what their outputs and gradients cannot exceed. The norm is
    that of the inputs as they are given; a gate is at most 1, and its slope at most a quarter."""
    centred = given_KTHL - given_KTHL.mean(2, keepdim=True)
    by = (centred.square().mean(2, keepdim=True) + 1e-5).rsqrt()
    v = (centred * by).abs()

    def bound(u_KTHL, a_N2, b_SH, c_HS, d_H, mix_PM):
        change = u_KTHL + u_KTHL.mean(2, keepdim=True) + v * (v * u_KTHL).mean(2, keepdim=True)
        v_KTHL = v + by * (change - change.detach())
        y_KTHL = 1.13 * read(v_KTHL, a_N2, b_SH, c_HS, d_H)
        p_KTHL, q_KTHL = (mix_PM[:, :-1] @ y_KTHL + mix_PM[:, -1:]).chunk(2, 2)
        return (u_KTHL + p_KTHL + p_KTHL.detach() * q_KTHL / 4)[:, first:]

    return bound


def the_same(fast, slow, tensors, sizes, bounding=None):
    """`sizes`: what makes real numbers of at least 0 of each tensor. `bounding`: `slow` without
    operations that could make such numbers smaller."""
    y, grads = gradients(fast, tensors)
    doubles = [t.double() for t in tensors]
    wanted, slow_grads = gradients(slow, doubles)
    positive = [size(t) for size, t in zip(sizes, doubles, strict=True)]
    bound, bounds = gradients(bounding or slow, positive, True)
    assert near(y, wanted, bound, 1e-5)
    assert all(near(*three, 1e-5) for three in zip(grads, slow_grads, bounds, strict=True))


def modulus(x_2):
    """Of complex numbers, as complex numbers."""
    size = torch.linalg.vector_norm(x_2, dim=-1)
    return torch.stack([size, torch.zeros_like(size)], -1)


def eigenvalues(*shape):
    """Within the unit circle, as both families keep them; all of them at any angle."""
    return torch.view_as_real(torch.polar(torch.rand(shape), 7 * torch.rand(shape))).contiguous()


SHAPES = {
    "batch": st.sampled_from([1, 16, 65, 130]),
    "steps": st.integers(1, 50),  # of several chunks, whole and begun
    "states": st.integers(1, 9),
    "seed": st.integers(0, 99),
}


@settings(max_examples=40)
@example(batch=65, steps=48, states=3, seed=0, channels=4, first=47)
@example(batch=1, steps=33, states=1, seed=0, channels=1, first=16)
@given(**SHAPES, channels=st.integers(1, 7), first=st.integers(0, 49))
def test_the_fused_s4d_is_the_equation_at_any_shape(batch, steps, states, seed, channels, first):
    fused_or_skip("fused")
    torch.manual_seed(seed)
    first = first % steps
    with kernels.forced("fused"):
        u = kernels.in_blocks(torch.randn(batch, steps, channels), [])
    weights = (
        eigenvalues(channels, states),
        torch.randn(channels, states, 2),
        torch.randn(channels),
        torch.randn(channels, channels + 1),
    )
    fast, slow, bounding = (
        lambda *tensors, run=run: run(*tensors, first)
        for run in (kernels.s4d_layer, s4d, partial(s4d, activation=lambda y: 1.13 * y))
    )
    sizes = torch.abs, modulus, modulus, torch.abs, torch.abs
    the_same(fast, slow, (u, *weights), sizes, bounding)


@settings(max_examples=40)
@example(batch=65, steps=48, states=3, seed=0, channels=4, first=47)
@example(batch=1, steps=33, states=1, seed=0, channels=1, first=16)
@given(**SHAPES, channels=st.integers(1, 7), first=st.integers(0, 49))
def test_the_fused_lru_is_the_equation_at_any_shape(batch, steps, states, seed, channels, first):
    fused_or_skip("fused")
    torch.manual_seed(seed)
    first = first % steps
    with kernels.forced("fused"):
        u = kernels.in_blocks(torch.randn(batch, steps, channels), [])
    weights = (
        eigenvalues(states),
        torch.randn(2 * states, channels),
        torch.randn(channels, 2 * states),
        torch.randn(channels),
        torch.randn(2 * channels, channels + 1),
    )
    fast, slow = (
        lambda *tensors, run=run: run(*tensors, first) for run in (kernels.lru_layer, lru)
    )  # fmt: skip
    sizes = torch.abs, modulus, *[torch.abs] * 4
    the_same(fast, slow, (u, *weights), sizes, lru_bound(u.double(), first))


def test_a_memory_of_a_thousand_steps_is_kept():
    fused_or_skip("fused")
    x = torch.zeros(64, 1000, 1)
    x[:, 0] = 1
    with kernels.forced("fused"):
        u = kernels.in_blocks(x, [])
    a, w = torch.tensor([[[0.999, 0.0]]]), torch.tensor([[[1.0, 0.0]]])
    mix = torch.tensor([[1.0, 0.0]])
    y = kernels.s4d_layer(u, a, w, torch.zeros(1), mix, 999)
    assert close(y, F.gelu(torch.full_like(y, 0.999**999)), 1e-4)


def gelu(x_T):
    """Two channels without memory: the second adds gelu of the first's input to its own, zero."""
    with kernels.forced("fused"):
        u_KTHL = kernels.in_blocks(
            torch.stack([x_T, torch.zeros_like(x_T)], 1).repeat(64, 1, 1), []
        )
    nothing, d_H = torch.zeros(2, 1, 2), torch.tensor([1.0, 0.0])
    mix_HM = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    return kernels.s4d_layer(u_KTHL, nothing, nothing, d_H, mix_HM)[0, :, 1, 0]


def test_gelu_and_its_slope_at_any_size():
    fused_or_skip("fused")
    sizes = [0.0, 1e-30, 1e-6, *torch.linspace(0.01, 6, 60).tolist(), 13.0, 100.0, 1e18, 3e38]
    x = torch.tensor([*sizes, *(-size for size in sizes)])
    y, (slopes,) = gradients(gelu, (x,))
    wanted, (wanted_slopes,) = gradients(F.gelu, (x.double(),))
    torch.testing.assert_close(y.double(), wanted, rtol=5e-7, atol=3e-7)
    torch.testing.assert_close(slopes.double(), wanted_slopes, rtol=5e-7, atol=5e-7)
    assert gelu(torch.tensor([math.nan])).isnan()
