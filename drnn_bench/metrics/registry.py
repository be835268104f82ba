"""The metrics by name: those of `names`, and those of plug-ins."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from drnn_bench import plugins
from drnn_bench.errors import UserError, nearest
from drnn_bench.metrics.forms import FORM_OF_LOSS
from drnn_bench.metrics.metric import Metric, MetricFacts
from drnn_bench.metrics.names import METRIC, METRICS


def metric_names() -> list[str]:
    """Those of drnn_bench, then those of plug-ins."""
    return [*METRICS, *plugins.names(METRIC)]


def metric_type(name: str) -> type[Metric]:
    """The class of a metric. Raises UserError where it is unknown."""
    if name in METRICS:
        return _built_in(name)
    brought = plugins.find(METRIC, name)
    if brought is None:
        raise UserError(
            f"unknown metric {name!r}: {nearest(name, metric_names())}; one of your own needs its "
            "file: bench --plugin FILE"
        )
    return brought


def metric_fault(loss: str, names: tuple[str, ...]) -> str | None:
    """What is wrong with the metrics of a task that is trained on a loss, in words. Classes of
    plug-in files may still be unchecked here: a task may stand in the file of its metric."""
    form = FORM_OF_LOSS[loss]
    fitting = [known for known in METRICS if form in _built_in(known).takes]
    if len(set(names)) < len(names):
        return f"its metrics are {', '.join(names)}: one stands there twice"
    for name in names:
        kind = _built_in(name) if name in METRICS else plugins.find_unchecked(METRIC, name)
        if kind is None:
            return f"metric {name!r} is none of {', '.join(fitting)}, nor a plug-in's"
        if form not in kind.takes:
            return (
                f"metric {name!r} is of {' or '.join(kind.takes)}, and loss_function {loss!r} "
                f"gives {form}; it goes with {', '.join(fitting)}"
            )
    return None


@lru_cache
def _built_in(name: str) -> type[Metric]:
    module, kind = METRICS[name]
    return getattr(importlib.import_module(f"drnn_bench.metrics.{module}"), kind)


def facts_of(name: str, recorded: Mapping[str, Any] | None, direction: str) -> MetricFacts:
    """What must be known of a metric to show it: its own facts where it is built in, else those
    that its record has. A metric of neither is shown as it is."""
    if name in METRICS:
        return _built_in(name).facts()
    if recorded:
        return MetricFacts(**recorded)
    return MetricFacts(unit=name, direction="max" if direction == "max" else "min", decimals=4)
