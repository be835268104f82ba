"""The recurrence of a selective state space, against a loop over its steps.

Legend: T steps, B batch, N states, E channels.
"""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drnn_bench.kernels.selective import CHUNK, selective_scan
from drnn_bench.testing.nets import close
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
