"""Networks by name: built, or described without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drnn_bench.errors import UserError
from drnn_bench.models.budget import count_parameters, solve_width
from drnn_bench.models.mrl import mean_recurrent_length, reach
from drnn_bench.models.registry import architecture_type, make_architecture

if TYPE_CHECKING:
    from drnn_bench.models.architecture import Architecture
    from drnn_bench.models.inputs import Net


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
    """The architecture of a network, its width given or computed from a parameter budget.

    Raises UserError, which is a ValueError, for a bad option; Infeasible where no width meets the
    budget.
    """
    architecture_type(family)  # so that an unknown family is the first error
    sizes = {"input_size": input_size, "output_size": output_size}
    if width is not None and budget is None:
        return make_architecture(family, **sizes, width=width, **options)
    if budget is not None and width is None:
        return solve_width(family, options, **sizes, budget=budget, length=length)
    raise UserError(f"{family}: give either width or budget")


def build(family: str, **config: Any) -> Net:
    """A network by name: `build("dilated_rnn", input_size=1, output_size=10, width=20)`.

    Give `width` (units per layer, one number or one per layer) or `budget` (parameters); every
    other option has a default. `model(x_BTI)` takes (batch, steps, input_size) at any length and
    returns logits (batch, steps, output_size); `model(x_BTI, last=n)` returns those of the last n
    steps, n from 1 to steps. `model.stream(x_BTI, state)` continues a sequence. Raises UserError,
    which is a ValueError, naming a bad option and its bound.

    The network raises UserError, one line, for inputs that it does not take: another rank, width,
    dtype or device, unknown symbols, a state of another net or batch. It computes in the dtype of
    its weights, under autocast too.
    """
    return configure(family, **config).build()


def describe(family: str, *, length: int | None = None, **config: Any) -> dict[str, Any]:
    """What a network is: sizes, parameters, dilations, mean recurrent length, reach.

    `length` is the sequence length T. With it, the mean recurrent length (MRL) is that over the
    spans 1..T-1, else that over the period of the network: None for convolutions, which have no
    period. Raises UserError for a bad option.
    """
    architecture = configure(family, length=length, **config)
    period = None if architecture.period is None else mean_recurrent_length(architecture)
    horizon = length - 1 if length else architecture.period
    return {
        "family": family,
        "config": architecture.config,
        "width": min(architecture.widths),
        "parameters": count_parameters(architecture),
        "budget": config.get("budget"),
        "dilations": architecture.layer_dilations and list(architecture.layer_dilations),
        "mrl": None if horizon is None else mean_recurrent_length(architecture, horizon),
        "mrl_horizon": horizon,
        "mrl_period": period,
        "reach": reach(architecture),
        "recurrent_edges_per_node": architecture.recurrent_edges_per_node,
        "sequential_steps": architecture.sequential_steps(length) if length else None,
    }
