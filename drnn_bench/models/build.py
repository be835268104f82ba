"""Networks by name: built, or described without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drnn_bench.errors import UserError
from drnn_bench.models.budget import count_parameters, solve_width
from drnn_bench.models.cost import cost
from drnn_bench.models.mrl import mean_recurrent_length, path_length, reach
from drnn_bench.models.registry import architecture_type, for_length, make_architecture

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
    """The frozen architecture of a network, its width given or solved from a parameter budget.

        >>> net = drnn_bench.configure("dilated_rnn", input_size=1, output_size=10, budget=5000)
        >>> net.widths, net.period
        ((10, 10, 10, 9, 9, 9, 9, 9, 9), 256)

    Takes the arguments of `build`; its `build()` makes the module, `mean_recurrent_length` takes
    it. Raises ValueError naming a bad option and its bound.
    """
    architecture_type(family)  # so that an unknown family is the first error
    sizes = {"input_size": input_size, "output_size": output_size}
    if width is not None and budget is None:
        return make_architecture(family, **sizes, width=width, **for_length(options, length))
    if budget is not None and width is None:
        return solve_width(family, options, **sizes, budget=budget, length=length)
    raise UserError(f"{family}: give either width or budget")


def build(
    family: str,
    *,
    input_size: int,
    output_size: int,
    width: int | tuple[int, ...] | None = None,
    budget: int | None = None,
    length: int | None = None,
    **options: Any,
) -> Net:
    """A network by name, with fresh weights.

        >>> model = drnn_bench.build("dilated_rnn", input_size=1, output_size=10, width=20)
        >>> model(torch.zeros(2, 784, 1), last=1).shape
        torch.Size([2, 1, 10])

    Give `width` (units per layer, one number or one per layer) or `budget` (parameters, at most);
    every other option is the family's own and has a default. `length` is that of the sequences,
    in steps: where it is given, `budget` refuses a net whose largest dilation reaches it.

    `model(x_BTI)` takes (batch, steps, input_size) at any length and gives logits (batch, steps,
    output_size); `model(x_BTI, last=n)` gives those of the last n steps only, n from 1 to steps.
    Raises ValueError naming a bad option and its bound.

    The network raises UserError, one line, for inputs that it does not take: another rank, width,
    dtype or device, unknown symbols, a state of another net or batch. It computes in the dtype of
    its weights, under autocast too.
    """
    architecture = configure(
        family,
        input_size=input_size,
        output_size=output_size,
        width=width,
        budget=budget,
        length=length,
        **options,
    )
    return architecture.build()


def describe(
    family: str,
    *,
    input_size: int,
    output_size: int,
    width: int | tuple[int, ...] | None = None,
    budget: int | None = None,
    length: int | None = None,
    spans: Sequence[int] = (),
    **options: Any,
) -> dict[str, Any]:
    """What a network is, without training it: sizes, parameters, dilations, mean recurrent length
    (Chang et al. 2017, section 3), reach, costs. Takes the arguments of `build`.

        >>> facts = drnn_bench.describe("lstm", input_size=1, output_size=10, budget=5000)
        >>> facts["parameters"] <= 5000
        True

    `length` is the sequence length T in steps: MRL is then taken over the spans 1..T-1; without it
    over the net's own period (None for convolutions, which have none). `mrl` counts edges and is
    infinite where a span cannot be crossed; `reach` is in steps and None where nothing bounds it.
    `path_lengths` has the edges of the shortest path over each of the `spans` (steps).
    `macs_per_step` are the multiply-accumulates of one more step of a stream, `state_bytes` what it
    carries from step to step and `weight_bytes` its parameters, in float32 (models/cost.py). The
    first two are None where they grow with the sequence and no `length` is given.
    Raises ValueError naming a bad option and its bound.
    """
    net = configure(
        family,
        input_size=input_size,
        output_size=output_size,
        width=width,
        budget=budget,
        length=length,
        **options,
    )
    period = None if net.period is None else mean_recurrent_length(net)
    horizon = length - 1 if length else net.period
    return {
        "family": family,
        "config": net.config,
        "width": min(net.widths),
        "parameters": count_parameters(net),
        "budget": budget,
        "dilations": net.layer_dilations and list(net.layer_dilations),
        "mrl": None if horizon is None else mean_recurrent_length(net, horizon),
        "mrl_horizon": horizon,
        "mrl_period": period,
        "reach": reach(net),
        "path_lengths": {span: path_length(net, span) for span in spans},
        "recurrent_edges_per_node": net.recurrent_edges_per_node,
        "sequential_steps": net.sequential_steps(length) if length else None,
        **cost(net, length),
    }
