"""The recurrence of gated linear attention, against a loop over the steps of each head.

Legend: T steps, L of them answered, B batch, h heads, d numbers of a key, e of a value.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drnn_bench import kernels
from drnn_bench.kernels.gated import gated_attention
from drnn_bench.testing.nets import close
from tests.support.cells import fused_or_skip
from tests.support.gradients import assert_the_same
from tests.support.linear_oracles import gated_attention as oracle

SIZES = {"batch": 2, "heads": 2, "keys": 3, "values": 4}


def drawn(steps: int, last: int, batch: int, heads: int, keys: int, values: int) -> list[Tensor]:
    """q, k, v, the logarithms of the gates, and the states before, in double precision."""
    torch.manual_seed(steps)
    q_LBhd, k_TBhd = (torch.randn(n, batch, heads, keys) for n in (last, steps))
    v_TBhe, first_Bhde = (
        torch.randn(steps, batch, heads, values),
        torch.randn(batch, heads, keys, values),
    )
    log_a_TBhd = torch.nn.functional.logsigmoid(3 * torch.randn(steps, batch, heads, keys))
    return [t.double().requires_grad_() for t in (q_LBhd, k_TBhd, v_TBhe, log_a_TBhd, first_Bhde)]


def single(given_: list[Tensor]) -> list[Tensor]:
    return [t.detach().float().requires_grad_() for t in given_]


def slow(q: Tensor, k: Tensor, v: Tensor, log_a: Tensor, first: Tensor) -> Tensor:
    """Of the oracle, which begins with zeros: first states are written by steps before, one for
    each number of a key, which keep all and are not answered."""
    heads, keys = k.shape[2:]
    eye = torch.eye(keys, dtype=k.dtype).unsqueeze(1).expand(-1, k.shape[1], -1)
    answers = []
    for head in range(heads):
        ones = torch.ones_like(eye)
        written = first[:, head].transpose(0, 1)  # [d, B, e]
        k_, a_ = torch.cat([eye, k[:, :, head]]), torch.cat([ones, log_a[:, :, head].exp()])
        q_ = torch.cat([torch.zeros_like(k_[: len(k_) - len(q)]), q[:, :, head]])
        answers.append(oracle(q_, k_, torch.cat([written, v[:, :, head]]), a_)[-len(q) :])
    return torch.stack(answers, 2)


def fused(*given_: Tensor) -> tuple[Tensor, Tensor]:
    fused_or_skip()
    with kernels.forced("fused"):
        return gated_attention(*given_)


@settings(max_examples=40)
@given(steps=st.integers(1, 50), data=st.data())
def test_products_of_matrices_are_the_loop(steps, data):
    given_ = drawn(steps, data.draw(st.integers(1, steps)), **SIZES)
    y, wanted = gated_attention(*given_)[0], slow(*given_)
    assert close(y, wanted, 1e-12)
    pairs = [torch.autograd.grad(answer.sin().sum(), given_) for answer in (y, wanted)]
    assert all(close(a, b, 1e-10) for a, b in zip(*pairs, strict=True))


@settings(max_examples=40)
@given(
    steps=st.integers(1, 50),
    batch=st.sampled_from([1, 3, 16, 64, 65, 130]),
    heads=st.integers(1, 3),
    keys=st.integers(1, 4),
    values=st.integers(1, 5),
    data=st.data(),
)
def test_the_fused_kernel_is_the_equation_at_any_shape(steps, batch, heads, keys, values, data):
    """Of states that go on, with the gradients of all that is given."""
    wide = drawn(steps, data.draw(st.integers(1, steps)), batch, heads, keys, values)
    narrow = single(wide)
    kernels.used()
    found, wanted = fused(*narrow), gated_attention(*wide)
    assert kernels.used() == "fused"
    assert_the_same(found, narrow, wanted, wide)


def test_gates_that_forget_all_or_nothing_are_exact():
    given_ = drawn(40, 40, **SIZES)
    with torch.no_grad():
        for step, log_a_Bhd in enumerate(given_[3]):
            log_a_Bhd.fill_((0.0, -1e-6, -1.0, -200.0)[step % 4])
    narrow = single(given_)
    y, wanted = fused(*narrow)[0], slow(*given_)
    assert close(y.double(), wanted, 1e-6)
    pairs = [torch.autograd.grad(a.sum(), g) for a, g in ((y, narrow), (wanted, given_))]
    assert all(close(a.double(), b, 1e-5) for a, b in zip(*pairs, strict=True))


def test_what_is_no_number_is_seen_by_all_later_steps_and_no_earlier_one():
    narrow = single(drawn(40, 40, **SIZES))
    with torch.no_grad():
        narrow[2][20, 0, 1, 2] = float("nan")
    for attention in (fused, gated_attention):
        wrong = attention(*narrow)[0].isnan()
        assert not wrong[:20].any()
        assert wrong[20:, 0, 1, 2].all()
        assert not wrong[:, 1].any()


def test_the_fused_kernels_gradients_have_gradients():
    wide = drawn(20, 7, **SIZES)
    seconds = []
    for attention, of in ((fused, single(wide)), (gated_attention, wide)):
        firsts = torch.autograd.grad(attention(*of)[0].sin().sum(), of, create_graph=True)
        seconds.append(torch.autograd.grad(sum(g.sin().sum() for g in firsts), of))
    for found, wanted in zip(*seconds, strict=True):
        assert close(found.double(), wanted, 1e-4)


@pytest.mark.parametrize("attention", [fused, gated_attention])
def test_gradients_come_as_a_batch_too(attention):
    given_ = single(drawn(20, 1, **SIZES))
    y = attention(*given_)[0].flatten()
    seeds = torch.eye(len(y))
    batch = torch.autograd.grad(y, given_, seeds, is_grads_batched=True, retain_graph=True)
    for i, seed in enumerate(seeds):
        one = torch.autograd.grad(y, given_, seed, retain_graph=True)
        assert all(close(many[i], alone, 1e-5) for many, alone in zip(batch, one, strict=True))


def test_threads_share_the_blocks_and_give_the_same_bits():
    given_, found = single(drawn(20, 20, 300, 2, 3, 4)), []
    for count in (1, 3):
        with kernels.shared(count):
            y, _ = fused(*given_)
            found.append([y, *torch.autograd.grad(y.sin().sum(), given_)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_what_is_given_may_lie_in_memory_in_any_order():
    given_ = single(drawn(20, 20, **SIZES))
    turned = [t.detach().transpose(0, 1).contiguous().transpose(0, 1) for t in given_]
    turned = [t.requires_grad_() for t in turned]
    found = []
    for of in (given_, turned):
        y, last = fused(*of)
        found.append([y, last, *torch.autograd.grad(y.sin().sum() + last.sum(), of)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_fused_kernel_runs_where_its_blocks_are_full_and_in_single_precision():
    fused_or_skip()
    for batch, dtype, chosen in (
        (64, torch.float32, "fused"),
        (4, torch.float32, ""),
        (64, torch.float64, ""),
    ):
        kernels.used()
        gated_attention(*(t.to(dtype) for t in drawn(20, 20, batch, 2, 3, 4)))
        assert kernels.used() == chosen
