"""Gates that begin with memories of up to the task's length (Tallec and Ollivier 2018)."""

from __future__ import annotations

import math

import pytest
import torch

import drnn_bench
from drnn_bench.errors import UserError
from drnn_bench.models.layers import RecurrentLayer
from drnn_bench.models.registry import make_architecture
from tests.support.refused import refusal

SIZES = {"input_size": 3, "output_size": 2}


def keep_gate(layer: RecurrentLayer) -> torch.Tensor:
    """The bias of the gate that keeps the state: LSTM forget, GRU update."""
    return layer.bias.detach()[layer.width : 2 * layer.width]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("dilation", [1, 4, 300])
def test_memories_are_uniform_up_to_the_length_in_steps_of_the_dilation(cell, dilation):
    torch.manual_seed(0)
    layers = [RecurrentLayer(cell, 3, 100, dilation, "chrono", memory=500) for _ in range(20)]
    # A gate that keeps sigmoid(b) of the state a step forgets in about 1 + exp(b) steps.
    spans = torch.cat([keep_gate(layer) for layer in layers]).exp()
    most = max(1.0, 500 / dilation - 1)
    assert 1 - 1e-4 <= spans.min() <= spans.max() <= most + 1e-3 * most
    assert spans.mean() == pytest.approx((1 + most) / 2, rel=0.05)
    if cell == "lstm":
        assert all(torch.equal(layer.bias[:100], -keep_gate(layer)) for layer in layers)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_all_else_is_as_orthogonal(cell):
    def made(init: str, memory: int | None) -> RecurrentLayer:
        torch.manual_seed(1)
        return RecurrentLayer(cell, 3, 5, 1, init, memory)

    plain, chrono = made("orthogonal", None), made("chrono", 100)
    assert torch.equal(plain.w_ih, chrono.w_ih)
    candidate = slice(2 * 5, 3 * 5)
    if cell == "lstm":  # whose candidate else has half the weights of the states
        plain.w_hh.data[candidate] *= 2
    assert torch.equal(plain.w_hh, chrono.w_hh)
    gates = slice(2 * 5, None)
    assert torch.equal(plain.bias[gates], chrono.bias[gates])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_gradient_of_a_late_output_reaches_an_early_input(cell):
    """Over 600 steps: an orthogonal net's is gone, a chrono net's is not."""
    reached = {}
    for init, memory in (("orthogonal", None), ("chrono", 600)):
        torch.manual_seed(0)
        net = make_architecture(cell, width=32, depth=1, init=init, memory=memory, **SIZES)
        x_BTI = torch.randn(8, 600, 3, requires_grad=True)
        net.build()(x_BTI, last=1).sum().backward()
        reached[init] = float(x_BTI.grad[:, 0].norm())
    assert reached["chrono"] > 1e3 * reached["orthogonal"]
    assert reached["chrono"] > 1e-6


def test_the_length_of_the_sequences_is_the_memory():
    net = drnn_bench.configure("lstm", budget=2000, length=500, init="chrono", **SIZES)
    assert net.config["memory"] == 500
    net = drnn_bench.configure("gru", width=4, length=500, init="chrono", memory=40, **SIZES)
    assert net.config["memory"] == 40


@pytest.mark.parametrize(
    ("family", "options", "said"),
    [
        ("lstm", {"init": "chrono"}, "init=chrono needs memory=N"),
        ("lstm", {"memory": 9}, "memory belongs to init=chrono"),
        ("lstm", {"init": "chrono", "memory": 1}, "memory must be a whole number of at least 2"),
        ("rnn", {"init": "chrono", "memory": 9}, "needs gates that keep a state"),
        (
            "dilated_rnn",
            {"cell": "rnn", "init": "chrono", "memory": 9},
            "needs gates that keep a state: not rnn, which has orthogonal",
        ),
    ],
)
def test_what_cannot_be_is_refused(family, options, said):
    sizes = {"width": 4, **SIZES, **options}
    assert said in refusal(lambda: make_architecture(family, **sizes))


def test_log_of_a_uniform_number():
    """The law by hand: P(b <= x) = (exp(x) - 1) / (T - 2) for b = log U(1, T-1)."""
    torch.manual_seed(0)
    layers = [RecurrentLayer("gru", 1, 100, 1, "chrono", memory=100) for _ in range(50)]
    biases = torch.cat([keep_gate(layer) for layer in layers])
    for x in (1.0, 2.0, 4.0):
        share = float((biases <= x).float().mean())
        assert share == pytest.approx((math.exp(x) - 1) / 98, abs=0.02)


@pytest.mark.parametrize(
    ("family", "options"),
    [("rnn", {"depth": 2}), ("dilated_rnn", {"cell": "rnn", "depth": 2}),
     ("clockwork_rnn", {"modules": 3})],
)  # fmt: skip
def test_identity_keeps_each_state_at_first(family, options):
    torch.manual_seed(0)
    model = make_architecture(family, width=9, init="identity", **options, **SIZES).build()
    layers = [layer for layer in model.modules() if isinstance(layer, RecurrentLayer)]
    assert len(layers) > 1
    for layer in layers:
        assert torch.equal(layer.w_hh, torch.eye(layer.width))
        assert layer.w_ih.abs().max() > 0
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("family", "options"), [("gru", {}), ("lstm", {}), ("dilated_rnn", {"cell": "lstm"})]
)
def test_identity_is_for_tanh_states(family, options):
    with pytest.raises(UserError, match="init=identity needs a cell whose state is a tanh"):
        make_architecture(family, width=9, init="identity", **options, **SIZES)
