"""The net that speeds are compared with: one LSTM layer at the budget, measured in every session.

So a ratio exists whatever was searched, and it is to the same net whatever a search of LSTMs found.
"""

from __future__ import annotations

from typing import Any

from drnn_bench.models.architecture import Architecture
from drnn_bench.models.budget import Infeasible, count_parameters, solve_width
from drnn_bench.models.registry import make_architecture
from drnn_bench.tasks.task import Task

FAMILY, OPTIONS = "lstm", {"depth": 1}


def reference_net(task: Task, budget: int) -> Architecture:
    """The widest LSTM of one layer within the budget, also where it uses less of it than a search
    would accept; where not even one unit fits, that of one unit."""
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    try:
        return solve_width(FAMILY, OPTIONS, **sizes, budget=budget)
    except Infeasible:  # a small budget, which whole units fill badly
        net = make_architecture(FAMILY, **sizes, width=1, **OPTIONS)
        wider = net
        while count_parameters(wider) <= budget:
            net = wider
            wider = make_architecture(FAMILY, **sizes, width=net.widths[0] + 1, **OPTIONS)
        return net


def reference_part(net: Architecture, measured: dict[str, Any]) -> dict[str, Any]:
    """What a speed row says of the reference: the net, and its rates in the same session."""
    return {
        "family": net.family,
        "architecture": net.words,
        "config": net.config,
        "parameters": count_parameters(net),
        **{key: value for key, value in measured.items() if key.endswith("_per_s")},
    }
