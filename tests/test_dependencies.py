"""A search needs what comes with the package, and nothing that only the tests bring."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

from packaging.requirements import Requirement

from tests.support.command import ENV, ROOT

# The end of a search of sixteen trials, where Optuna imports late what it does not bring.
RUN = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

HIDDEN = set(sys.argv[1:])
sys.meta_path.insert(0, Hidden())

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
import drnn_bench.cli.run, drnn_bench.jobs.api, drnn_bench.training.loop
from drnn_bench.search.importance import importance
from drnn_bench.search.space_file import default_path, read_space

study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
space = read_space(default_path("gru"))
drawn = {"depth": IntDistribution(1, 3), "learning_rate": FloatDistribution(1e-3, 1e-2, log=True)}
for place in range(20):
    trial = study.ask(drawn)
    trial.set_user_attr("place", place)
    study.tell(trial, trial.params["depth"])
assert importance(study, space)["depth"] > 0.5
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def brought(name: str, found: set[str]) -> set[str]:
    """A distribution and all that it requires, without extras, as far as it is installed."""
    try:
        needed = requires(name) or []
    except PackageNotFoundError:
        return found
    found.add(canonical(name))
    for line in map(Requirement, needed):
        here = line.marker is None or line.marker.evaluate({"extra": ""})
        if here and canonical(line.name) not in found:
            brought(line.name, found)
    return found


def test_a_search_needs_no_package_that_is_not_a_dependency():
    with_us = brought("drnn-bench", set())
    hidden = [
        module
        for module, owners in packages_distributions().items()
        if not with_us & {canonical(owner) for owner in owners}
    ]
    assert {"pytest", "hypothesis", "onnxruntime"} <= {*hidden}
    assert "torch" not in hidden
    done = subprocess.run(
        [sys.executable, "-c", RUN, *hidden], capture_output=True, text=True, cwd=ROOT,
        env=ENV | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
