"""Architecture search and benchmarks for long-sequence models under parameter budgets.

The public API, each part imported when it is first used:

    build                  a network by name, as a torch.nn.Module
    configure              the same as a frozen architecture, without weights
    describe               what a network is, without training it
    mean_recurrent_length  the paper's measure of how far information travels, exact
    run                    the whole job: search, finals, throughput, leaderboard
    leaderboard            the ranked table of what has been run
    styled                 that table as a notebook shows it best
    replay                 a recorded final trained again: did it come out the same?
    load                   a net that `bench export` wrote
    plugin                 a Python file of yours: tasks, families, metrics, cells
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drnn_bench.board.frame import leaderboard
    from drnn_bench.board.styled import styled
    from drnn_bench.export.loading import load
    from drnn_bench.jobs.api import replay, run
    from drnn_bench.models.build import build, configure, describe
    from drnn_bench.models.mrl import mean_recurrent_length
    from drnn_bench.plugins import plugin

__version__ = "0.1.0"
__all__ = [
    "build",
    "configure",
    "describe",
    "leaderboard",
    "load",
    "mean_recurrent_length",
    "plugin",
    "replay",
    "run",
    "styled",
]

# The module of each public name.
_MODULES = {
    "build": "models.build",
    "configure": "models.build",
    "describe": "models.build",
    "leaderboard": "board.frame",
    "load": "export.loading",
    "mean_recurrent_length": "models.mrl",
    "plugin": "plugins",
    "replay": "jobs.api",
    "run": "jobs.api",
    "styled": "board.styled",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
