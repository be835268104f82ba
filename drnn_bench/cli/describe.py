"""`bench describe`: the facts of a network, without training it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from drnn_bench.cli.options import (
    BudgetOption,
    JsonOption,
    TaskOption,
    parse_budget,
    say,
)
from drnn_bench.errors import UserError
from drnn_bench.results.codec import to_json


def describe(
    family: Annotated[str, typer.Argument(help="A family: see `bench ls families`.")],
    options: Annotated[list[str] | None, typer.Argument(help="key=value, such as cell=gru.")] = None,
    task: TaskOption = None,
    budget: BudgetOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """A network without training it: parameters, dilations, mean recurrent length, reach."""
    from drnn_bench.models.build import describe as describe_network
    from drnn_bench.models.options import parse_options

    config: dict[str, Any] = parse_options(family, options or [])
    if task is not None:
        from drnn_bench.tasks.registry import sized_task

        named = sized_task(task)
        config |= {"length": named.length, "spans": named.needed_spans}
        config |= {"input_size": named.input_size, "output_size": named.output_size}
    if budget is not None:
        config["budget"] = parse_budget(budget)
    missing = [key for key in ("input_size", "output_size") if key not in config]
    if missing:
        raise UserError(f"give --task, or {' and '.join(f'{key}=N' for key in missing)}")
    facts = to_json(describe_network(family, **config))
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        if isinstance(value, dict):
            value = " ".join(f"{k}={v}" for k, v in value.items())
        say(f"{key:<{width}}  {'–' if value is None else value}")
