"""The recurrence of a selective state space, against a loop over its steps.

Legend: T steps, B batch, N states, E channels.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drnn_bench import kernels
from drnn_bench.kernels.selective import selective_scan
from drnn_bench.kernels.selective_plain import CHUNK
from drnn_bench.testing.nets import close
from tests.support.gradients import assert_the_same
from tests.support.linear_oracles import selective_scan as oracle

BATCH, STATES, CHANNELS = 2, 3, 4


def drawn(length: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """dt, x, b, c and the rate, which have gradients."""
    torch.manual_seed(length)
    dt_TBE = torch.rand(length, BATCH, CHANNELS)
    x_TBE = torch.randn(length, BATCH, CHANNELS)
    b_TBN, c_TBN = torch.randn(2, length, BATCH, STATES)
    rate_NE = -torch.rand(STATES, CHANNELS)
    return [t.to(dtype).requires_grad_() for t in (dt_TBE, x_TBE, b_TBN, c_TBN, rate_NE)]


def zeros(like: Tensor) -> Tensor:
    return like.new_zeros(STATES, BATCH, CHANNELS)


def slow(dt: Tensor, x: Tensor, b: Tensor, c: Tensor, rate: Tensor) -> Tensor:
    return oracle(x, dt, rate.T, b, c, x.new_zeros(CHANNELS))


@settings(max_examples=40)
@given(length=st.integers(1, 3 * CHUNK + 2), data=st.data())
def test_any_cut_and_any_last_steps_give_what_the_loop_gives(length, data):
    """The first steps leave a state, from which the others go on; of these the last are answered.
    So are their gradients."""
    cut = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(1, length - cut))
    given_ = drawn(length)
    dt, x, b, c, rate = given_
    h = zeros(x)
    if cut:
        _, h = selective_scan(dt[:cut], x[:cut], b[:cut], c[cut - 1 : cut], rate, h)
    y, _ = selective_scan(dt[cut:], x[cut:], b[cut:], c[-last:], rate, h)
    wanted = slow(*given_)[-last:]
    assert close(y, wanted, 1e-12)
    pairs = [torch.autograd.grad(answer.sin().sum(), given_) for answer in (y, wanted)]
    assert all(close(a, b, 1e-10) for a, b in zip(*pairs, strict=True))


def test_the_state_has_a_gradient_and_gradients_have_gradients():
    given_ = [*drawn(CHUNK + 3), torch.randn(STATES, BATCH, CHANNELS).double().requires_grad_()]
    assert torch.autograd.gradcheck(selective_scan, given_, fast_mode=True)
    assert torch.autograd.gradgradcheck(selective_scan, given_, fast_mode=True)
    dt, *rest = given_
    rest[2] = rest[2][-2:].detach()  # some of them need none, and some steps are not answered
    assert torch.autograd.gradgradcheck(
        lambda dt, *_: selective_scan(dt, *rest), (dt, rest[3], rest[4]), fast_mode=True
    )


def test_states_that_forget_all_or_nothing_are_exact_in_single_precision():
    given_ = drawn(3 * CHUNK, torch.float32)
    with torch.no_grad():
        for step, dt_BE in enumerate(given_[0]):
            dt_BE *= (0.0, 1e-6, 1.0, 1e4)[step % 4]
    y, _ = selective_scan(*given_, zeros(given_[0]))
    wide = [t.detach().double().requires_grad_() for t in given_]
    wanted = slow(*wide)
    assert close(y.double(), wanted, 1e-6)
    pairs = [torch.autograd.grad(a.sum(), g) for a, g in ((y, given_), (wanted, wide))]
    assert all(close(a.double(), b, 1e-5) for a, b in zip(*pairs, strict=True))


def test_states_of_all_steps_are_never_held():
    """For the backward pass only those before each chunk are."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    length, states, channels = 16 * CHUNK, 32, 32
    dt_TBE, x_TBE = torch.rand(2, length, BATCH, channels, requires_grad=True)
    b_TBN, c_TBN = torch.randn(2, length, BATCH, states)
    first_NBE = torch.zeros(states, BATCH, channels)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        selective_scan(dt_TBE, x_TBE, b_TBN, c_TBN, -torch.rand(states, channels), first_NBE)
    whole = length * BATCH * states * channels
    assert whole / CHUNK < sum(kept.values()) < whole / 3


def fused(*given: Tensor) -> tuple[Tensor, Tensor]:
    with kernels.forced("fused"):
        return selective_scan(*given)


@settings(max_examples=40)
@given(
    steps=st.integers(1, 50),
    batch=st.sampled_from([1, 3, 16, 64, 65, 130]),
    states=st.integers(1, 5),
    channels=st.integers(1, 9),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_the_fused_kernel_is_the_equation_at_any_shape(steps, batch, states, channels, seed, data):
    """Of states that go on, with the gradients of all that is given."""
    torch.manual_seed(seed)
    last = data.draw(st.integers(1, steps))
    of_channels = [torch.rand(steps, batch, channels), torch.randn(steps, batch, channels)]
    of_states = [torch.randn(n, batch, states) for n in (steps, last)]
    rate_EN = -3 * torch.rand(channels, states)
    first_NBE = torch.randn(states, batch, channels)
    wide = [t.double().requires_grad_() for t in (*of_channels, *of_states, rate_EN.t(), first_NBE)]
    narrow = [t.detach().float().requires_grad_() for t in wide]
    kernels.used()
    found, wanted = fused(*narrow), selective_scan(*wide)
    assert kernels.used() == "fused"
    assert_the_same(found, narrow, wanted, wide)


def test_the_fused_kernels_gradients_have_gradients():
    torch.manual_seed(0)
    given_ = [t.requires_grad_() for t in drawn(CHUNK + 3, torch.float32)]
    given_.append(zeros(given_[0]).requires_grad_())
    wide = [t.detach().double().requires_grad_() for t in given_]
    seconds = []
    for scan, of in ((fused, given_), (selective_scan, wide)):
        firsts = torch.autograd.grad(scan(*of)[0].sin().sum(), of, create_graph=True)
        seconds.append(torch.autograd.grad(sum(g.sin().sum() for g in firsts), of))
    for found, wanted in zip(*seconds, strict=True):
        assert close(found.double(), wanted, 1e-4)


@pytest.mark.parametrize("scan", [fused, selective_scan])
def test_gradients_come_as_a_batch_too(scan):
    given_ = [*drawn(CHUNK + 3, torch.float32), torch.zeros(STATES, BATCH, CHANNELS)]
    y = scan(*given_)[0][-1].flatten()
    seeds, inputs = torch.eye(len(y)), given_[:5]
    batch = torch.autograd.grad(y, inputs, seeds, is_grads_batched=True, retain_graph=True)
    for i, seed in enumerate(seeds):
        one = torch.autograd.grad(y, inputs, seed, retain_graph=True)
        assert all(close(many[i], alone, 1e-5) for many, alone in zip(batch, one, strict=True))


def test_threads_share_the_blocks_and_give_the_same_bits():
    given_ = [torch.rand(20, 300, 4), torch.randn(20, 300, 4), *torch.randn(2, 20, 300, 3)]
    given_ = [t.requires_grad_() for t in (*given_, -torch.rand(3, 4), torch.randn(3, 300, 4))]
    found = []
    for count in (1, 3):
        with kernels.shared(count):
            y, _ = fused(*given_)
            found.append([y, *torch.autograd.grad(y.sin().sum(), given_)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_fused_kernel_runs_where_its_blocks_are_full_and_in_single_precision():
    for batch, dtype, chosen in (
        (64, torch.float32, "fused"),
        (8, torch.float32, ""),
        (64, torch.float64, ""),
    ):
        given_ = [torch.rand(20, batch, 4), torch.rand(20, batch, 4), *torch.randn(2, 20, batch, 3)]
        given_ += [-torch.rand(3, 4), torch.zeros(3, batch, 4)]
        kernels.used()
        selective_scan(*(t.to(dtype) for t in given_))
        assert kernels.used() == chosen
