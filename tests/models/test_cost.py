"""What a net costs where it runs, beside what the contract of families compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from drnn_bench import kernels
from drnn_bench.models.architecture import Stepwise
from drnn_bench.models.build import configure
from drnn_bench.models.cost import cost
from drnn_bench.models.names import FAMILIES
from drnn_bench.models.weights import pack
from drnn_bench.testing.costs import MacCounter
from drnn_bench.testing.nets import doubled
from tests.support.nets import NETS


@pytest.mark.parametrize(("family", "options"), [(f, NETS[f][0]) for f in FAMILIES])
def test_symbols_behind_a_table_cost_what_the_net_behind_it_costs(family, options):
    sizes = {"output_size": 4, **options}
    bare = cost(configure(family, input_size=3, **sizes))
    behind = configure(family, input_size=50, embedding=3, **sizes)
    assert cost(behind) == bare | {"weight_bytes": bare["weight_bytes"] + 4 * 50 * 3}
    model, symbols, steps = doubled(behind.build()), torch.tensor([[7]]), behind.period or 1
    with torch.no_grad(), kernels.forced("torch"):
        _, state = model.stream(symbols)
        with MacCounter(model) as counter:
            for _ in range(steps):
                _, state = model.stream(symbols, state)
    assert counter.macs == steps * behind.macs_per_step


@pytest.mark.parametrize("family", FAMILIES)
def test_the_weights_are_what_a_file_of_them_holds(family):
    net = configure(family, input_size=3, output_size=4, **NETS[family][0])
    data = pack(net.build())
    header = 8 + int.from_bytes(data[:8], "little")  # the form of safetensors
    assert cost(net)["weight_bytes"] == len(data) - header


def test_fewer_of_a_clockworks_modules_compute_the_longer_their_periods_are():
    """Two units a module, periods 1 and 2, one input: at every other step the slow one rests."""
    net = configure("clockwork_rnn", input_size=1, output_size=3, modules=2, width=4)
    assert cost(net)["macs_per_step"] == 2 * (1 + 4) + 2 * (1 + 2) / 2 + 4 * 3


@dataclass(frozen=True, kw_only=True)
class Silent(Stepwise):
    family: ClassVar[str] = "silent"

    def network(self) -> nn.Module:
        layer = nn.Linear(self.input_size, self.output_size)
        layer.again = layer.weight  # one tensor under two names
        return layer


def test_a_family_that_does_not_say_has_weights_only():
    silent = Silent(input_size=3, output_size=2, width=1)
    weights = 4 * (3 * 2 + 2)
    assert cost(silent) == {
        "macs_per_step": None, "state_bytes": None, "weight_bytes": weights,
    }  # fmt: skip
