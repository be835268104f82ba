"""Networks by name: built, or described without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drnn_bench.errors import UserError
from drnn_bench.models.budget import count_parameters, solve_width
from drnn_bench.models.mrl import mean_recurrent_length, reach
from drnn_bench.models.registry import architecture_type, make_architecture

if TYPE_CHECKING:
    from torch import nn

    from drnn_bench.models.architecture import Architecture


def configure(
    family: str,
    *,
    input_size: int,
    output_size: int,
    width: int | tuple[int, ...] | None = None,
    budget: int | None = None,
    length: int | None = None,
    **options: Any,
) -> Architecture:
    """The frozen config of a network, its width given or solved from a parameter budget."""
    architecture_type(family)  # an unknown family is said before anything else is
    if (width is None) == (budget is None):
        raise UserError(f"{family}: give either width or budget")
    sizes = {"input_size": input_size, "output_size": output_size}
    if width is not None:
        return make_architecture(family, **sizes, width=width, **options)
    return solve_width(family, options, **sizes, budget=budget, length=length)


def build(family: str, **config: Any) -> nn.Module:
    """A network by name: `build("dilated_rnn", input_size=1, output_size=10, width=20)`.

    Give `width` (units per layer, one number or one per layer) or `budget` (parameters); every
    other option has a default. `model(x_BTI)` takes (batch, steps, input_size) at any length and
    gives logits (batch, steps, output_size); `model(x_BTI, last=n)` gives those of the last n
    steps only, n from 1 to steps. Raises ValueError naming a bad option and its bound.

    The net refuses what it does not take in one line (ValueError): another rank, width, dtype or
    device, symbols that it does not have, a state of another net or batch. It computes in the dtype
    of its weights, under autocast too.
    """
    return configure(family, **config).build()


def describe(family: str, *, length: int | None = None, **config: Any) -> dict[str, Any]:
    """What a network is: sizes, parameters, dilations, mean recurrent length, reach.

    `length` is the sequence length T: MRL is then taken over the spans 1..T-1; without it over
    the net's own period (null for convolutions, which have none).
    """
    net = configure(family, length=length, **config)
    period = None if net.period is None else mean_recurrent_length(net)
    horizon = length - 1 if length else net.period
    return {
        "family": family,
        "config": net.config,
        "width": min(net.widths),
        "parameters": count_parameters(net),
        "budget": config.get("budget"),
        "dilations": net.layer_dilations and list(net.layer_dilations),
        "mrl": None if horizon is None else mean_recurrent_length(net, horizon),
        "mrl_horizon": horizon,
        "mrl_period": period,
        "reach": reach(net),
        "recurrent_edges_per_node": net.recurrent_edges_per_node,
        "sequential_steps": net.sequential_steps(length) if length else None,
    }
