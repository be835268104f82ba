"""Architecture search and benchmarks for long-sequence models under parameter budgets.

The public API, each part imported when it is first used:

    build                  a network by name, as a torch.nn.Module
    configure              the same as a frozen config, which the next two take as well
    describe               what a network is, without training it
    mean_recurrent_length  the paper's measure of how far information travels, exact
    run                    the whole job: search, finals, throughput, leaderboard
    leaderboard            the ranked table of what has been run
    load                   a net that `bench export` wrote
    plugin                 a Python file of yours, with its tasks and families
"""

__version__ = "0.1.0"

_WHERE = {
    "build": "models.build",
    "configure": "models.build",
    "describe": "models.build",
    "mean_recurrent_length": "models.mrl",
    "run": "jobs.job",
    "leaderboard": "results.ranking",
    "load": "export.loading",
    "plugin": "plugins",
}
__all__ = [*_WHERE]


def __getattr__(name: str):
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
