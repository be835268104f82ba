"""What selective state spaces and gated linear attention have of their own, beside the contract of
all families and their oracles, to which test_models.py holds them.

Legend: B batch, T steps, h heads, d numbers of a key, e of a value.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from drnn_bench.kernels.gated_plain import CHUNK, attended, written
from drnn_bench.testing.costs import MacCounter
from drnn_bench.testing.nets import INPUTS, architecture_of, close, doubled, make
from tests.support.linear_oracles import gated_attention


def drawn(length: int, gates: tuple[float, ...] = (0.0,)) -> list[torch.Tensor]:
    """q, k, v and the logarithms of the gates, which take turns near these; with gradients."""
    torch.manual_seed(length)
    q_TBhd, k_TBhd, shift_TBhd = torch.randn(3, length, 2, 3, 4)
    v_TBhe = torch.randn(length, 2, 3, 5)
    turns_T = torch.tensor([gates[step % len(gates)] for step in range(length)])
    log_a_TBhd = F.logsigmoid(shift_TBhd + turns_T[:, None, None, None])
    return [t.requires_grad_() for t in (q_TBhd, k_TBhd, v_TBhe, log_a_TBhd)]


def zeros(v_TBhe: torch.Tensor) -> torch.Tensor:
    return v_TBhe.new_zeros(2, 3, 4, 5)


def slow(q_TBhd, k_TBhd, v_TBhe, log_a_TBhd):
    of_heads = zip(*(t.unbind(2) for t in (q_TBhd, k_TBhd, v_TBhe, log_a_TBhd.exp())), strict=True)
    return torch.stack([gated_attention(*of_head) for of_head in of_heads], 2)


def test_gates_near_zero_and_near_one_lose_nothing_in_single_precision():
    """Products of these gates underflow within a chunk, where logarithms that were added up and
    subtracted again would be off by 1e-4."""
    single = drawn(3 * CHUNK + 5, (9.0, -9.0, -4000.0, 9.0, 9.0))
    double = [t.detach().double().requires_grad_() for t in single]
    o, wanted = attended(*single, zeros(single[2]))[0], slow(*double)
    assert close(o.double(), wanted, 1e-6)
    pairs = [torch.autograd.grad(a.sum(), g) for a, g in ((o, single), (wanted, double))]
    for name, got, right in zip("qkva", *pairs, strict=True):
        assert close(got.double(), right, 1e-5), name


@settings(max_examples=40)
@given(length=st.integers(1, 3 * CHUNK + 2), data=st.data())
def test_steps_that_only_write_leave_the_state_that_those_which_are_read_leave(length, data):
    cut = data.draw(st.integers(0, length - 1))
    given_ = [t.detach().double() for t in drawn(length)]
    first = zeros(given_[2])
    if cut:
        early = [t[:cut] for t in given_]
        _, first = attended(*early, first)
        assert close(written(*early[1:], zeros(given_[2])), first, 1e-12)
    o, last = attended(*(t[cut:] for t in given_), first)
    assert close(o, slow(*given_)[cut:], 1e-12)
    assert close(last, attended(*given_, zeros(given_[2]))[1], 1e-12)


@pytest.mark.parametrize("bias", [-1e4, 1e4])
@pytest.mark.parametrize(("family", "weight"), [("gla", "gate_bias"), ("selective_ssm", "dt_bias")])
def test_a_net_whose_gates_are_all_shut_or_open_has_finite_gradients(family, weight, bias):
    model = make(family, {"depth": 1, "width": 6})
    model.layers[0].get_parameter(weight).data.fill_(bias)
    x = torch.randn(2, 3 * CHUNK + 1, INPUTS)
    state, parts = None, []
    with torch.no_grad():
        for x_B1I in x.split(1, dim=1):
            y, state = model.stream(x_B1I, state)
            parts.append(y)
    y = model(x)
    assert close(torch.cat(parts, 1), y, 1e-4)
    y.sin().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("family", "share"),
    [("gla", 0.35), ("selective_ssm", 0.6)],  # of the work: what writes a state
)
def test_of_the_top_block_only_what_is_asked_for_is_computed(family, share):
    model = doubled(make(family, {"depth": 1, "width": 16}))
    x, counts = torch.randn(2, 200, INPUTS, dtype=torch.float64), []
    for last in (None, 1):
        with torch.no_grad(), MacCounter(model) as counter:
            model(x, last=last)
        counts.append(counter.macs)
    assert counts[1] < share * counts[0]


@torch.no_grad()
def test_a_selective_ssm_begins_as_its_paper_says():
    """Sections 3.5 and 3.6 of Gu and Dao 2023: states decay at the rates 1 .. N, and dt is
    log-uniform from 0.001 to 0.1."""
    options = {"depth": 1, "states": 6, "expand": 4, "width": 100}
    layer = make("selective_ssm", options).double().layers[0]
    assert torch.allclose(layer.a_log.exp(), torch.arange(1.0, 7).double().expand(400, 6))
    assert layer.d.eq(1).all()
    place = (F.softplus(layer.dt_bias) / 0.001).log() / math.log(100)
    assert place.min() >= -1e-5
    assert place.max() <= 1 + 1e-5
    # Kolmogorov and Smirnov's distance; above 0.1 in 1 of 2,000 draws of 400.
    assert (place.sort().values - (torch.arange(400) + 0.5) / 400).abs().max() < 0.1
    reads = {"in": 100, "conv": 4, "x": 400, "dt": 7, "out": 400}  # 7 = ceil(100 / 16)
    for name, count in reads.items():
        weight = layer.get_parameter(f"{name}_weight")
        assert weight.abs().max() <= count**-0.5
        assert weight.std() == pytest.approx((3 * count) ** -0.5, rel=0.1)


def test_any_width_goes_with_any_number_of_heads():
    for width in range(1, 20):
        net = architecture_of("gla", {"heads": 3, "width": width})
        assert width <= 3 * net.value_size < width + 3
        assert net.value_size <= 2 * net.key_size <= net.value_size + 1
