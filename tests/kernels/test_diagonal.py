"""Diagonal recurrences over blocks of sequences, beside the equations in double precision."""

from __future__ import annotations

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drnn_bench import kernels
from drnn_bench.testing.nets import close
from tests.support.cells import fused_or_skip
from tests.support.weighed import gradients, near


def s4d(u_KTHL, a_HN2, w_HN2, d_H, first):
    """y_t = d u_t + sum of Re(w s_t), s_t = a s_(t-1) + u_t, in real numbers, step by step."""
    a_re, a_im, w_re, w_im = (t.unsqueeze(2) for t in (*a_HN2.unbind(2), *w_HN2.unbind(2)))
    re = im = torch.zeros(())
    answers = []
    for u_KHL in u_KTHL.unbind(1):
        re, im = a_re * re - a_im * im + u_KHL.unsqueeze(2), a_re * im + a_im * re
        answers.append(d_H[:, None] * u_KHL + (w_re * re - w_im * im).sum(2))
    return torch.stack(answers[first:], 1)


def lru(r_KTN2L, a_N2):
    """x_t = a x_(t-1) + r_t"""
    a_re, a_im = a_N2[:, :1], a_N2[:, 1:]
    re = im = torch.zeros(())
    states = []
    for r_KN2L in r_KTN2L.unbind(1):
        re, im = a_re * re - a_im * im + r_KN2L[:, :, 0], a_re * im + a_im * re + r_KN2L[:, :, 1]
        states.append(torch.stack([re, im], 2))
    return torch.stack(states, 1)


def the_same(fast, slow, tensors, sizes):
    """`sizes`: what makes real numbers of at least 0 of each tensor."""
    y, grads = gradients(fast, tensors)
    doubles = [t.double() for t in tensors]
    wanted, slow_grads = gradients(slow, doubles)
    bound, bounds = gradients(slow, [size(t) for size, t in zip(sizes, doubles, strict=True)], True)
    assert near(y, wanted, bound, 1e-5)
    assert all(near(*three, 1e-5) for three in zip(grads, slow_grads, bounds, strict=True))


def modulus(x_2):
    """Of complex numbers, as complex numbers."""
    size = torch.linalg.vector_norm(x_2, dim=-1)
    return torch.stack([size, torch.zeros_like(size)], -1)


def moduli(x_2L):
    return modulus(x_2L.transpose(-1, -2)).transpose(-1, -2)


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
def test_s4d_is_the_equation_at_any_shape(batch, steps, states, seed, channels, first):
    fused_or_skip("fused")
    torch.manual_seed(seed)
    first = first % steps
    with kernels.forced("fused"):
        u = kernels.in_blocks(torch.randn(batch, steps, channels), [])
    weights = eigenvalues(channels, states), torch.randn(channels, states, 2), torch.randn(channels)
    fast, slow = (
        lambda *tensors, run=run: run(*tensors, first) for run in (kernels.s4d_scan, s4d)
    )  # fmt: skip
    the_same(fast, slow, (u, *weights), (torch.abs, modulus, modulus, torch.abs))


@settings(max_examples=40)
@given(**SHAPES)
def test_lru_is_the_equation_at_any_shape(batch, steps, states, seed):
    fused_or_skip("fused")
    torch.manual_seed(seed)
    with kernels.forced("fused"):
        r = kernels.in_blocks(torch.randn(batch, steps, 2 * states), [])
    given = r.unflatten(2, (states, 2)), eigenvalues(states)
    the_same(kernels.lru_scan, lru, given, (moduli, modulus))


def test_a_memory_of_a_thousand_steps_is_kept():
    fused_or_skip("fused")
    x = torch.zeros(64, 1000, 1)
    x[:, 0] = 1
    with kernels.forced("fused"):
        u = kernels.in_blocks(x, [])
    a, w = torch.tensor([[[0.999, 0.0]]]), torch.tensor([[[1.0, 0.0]]])
    y = kernels.s4d_scan(u, a, w, torch.zeros(1), 999)
    assert close(y.flatten(), torch.full((y.numel(),), 0.999**999), 1e-4)
