"""Runs the contracts over what a user's file defines, without pytest.

A check is a method of a contract whose name begins with `test_`. It passes unless it raises.
"""

from __future__ import annotations

import inspect
import traceback
import unittest
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from drnn_bench import plugins
from drnn_bench.cells.registry import find_cell
from drnn_bench.errors import Interrupted, UserError
from drnn_bench.metrics.metric import Metric
from drnn_bench.metrics.registry import metric_type
from drnn_bench.plugins.foreign_code import Stopped, error_text, running
from drnn_bench.testing.cells import CellContract
from drnn_bench.testing.families import FamilyContract
from drnn_bench.testing.metrics import MetricContract, forms_of
from drnn_bench.testing.tasks import Source, TaskContract

PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"

# Gives the checks of a contract their arguments, from a name and the folder of the user's data.
Given = Callable[[str, str | None], dict[str, Any]]

# The word of a kind -> its contract and what its checks are given. Adding a kind is one line here.
CONTRACTS: Mapping[str, tuple[type, Given]] = {
    "task": (TaskContract, lambda name, data_dir: {"source": Source(name, data_dir)}),
    "family": (FamilyContract, lambda name, _: {"family": name, "options": {"width": 5}}),
    "metric": (MetricContract, lambda name, _: _of_metric(metric_type(name)())),
    "cell": (CellContract, lambda name, _: {"cell": find_cell(name)}),
}


def _of_metric(metric: Metric) -> dict[str, Any]:
    return {"it": metric, "forms": forms_of(metric)}


@dataclass(frozen=True)
class Check:
    """How one check ended. `why` is empty where it passed."""

    kind: str
    name: str
    check: str  # in words
    result: str  # passed, failed or left out
    why: str = ""


def check_file(path: str, data_dir: str | None = None) -> Iterator[Check]:
    """Runs the contract of each class that a file defines, with its default options. A net has 5
    units a layer.

    Raises UserError where the file cannot be loaded.
    """
    found = plugins.names_in(path)
    for kind, _ in found:
        if kind.word not in CONTRACTS:
            raise UserError(f"plug-in {path}: nothing checks a {kind.word} yet")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return (
        Check(kind.word, name, words(method), *run_check(contract, method, given, path))
        for kind, name in found
        for contract, given in [_contract(kind.word, name, data_dir)]
        for method in checks_of(contract)
    )


def _contract(kind: str, name: str, data_dir: str | None) -> tuple[type, dict[str, Any]]:
    contract, given = CONTRACTS[kind]
    return contract, given(name, data_dir)


def checks_of(contract: type) -> list[str]:
    """The names of its checks, in the order in which they are written, its own before those that
    it inherits."""
    names = (name for of in contract.__mro__ for name in vars(of) if name.startswith("test_"))
    return [*dict.fromkeys(names)]


def words(method: str) -> str:
    """The name of a check as a sentence."""
    return method.removeprefix("test_").replace("_", " ")


def run_check(
    contract: type, method: str, given: dict[str, Any], path: str | Path
) -> tuple[str, str]:
    """How one check of a contract ended, and why. `path` is the user's file, whose line is named
    where it raises an error."""
    check = getattr(contract(), method)
    arguments = {name: given[name] for name in inspect.signature(check).parameters}
    try:
        with running(f"plug-in {path}"):
            check(**arguments)
    except unittest.SkipTest as error:
        return LEFT_OUT, str(error)
    except (Stopped, Interrupted):
        raise
    except BaseException as error:  # a user's code may raise anything
        return FAILED, _why(error, Path(path).absolute())
    return PASSED, ""


def _why(error: BaseException, path: Path) -> str:
    """What was raised, and where: the line of the user's file, or the condition of the check."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(path)]
    if isinstance(error, AssertionError) and not own:
        return " ".join(str(error).split()) or f"this does not hold: {_condition(frames[-1])}"
    place = f" ({path.name}, line {own[-1].lineno})" if own else ""
    return error_text(error) + place


def _condition(frame: traceback.FrameSummary) -> str:
    return (frame.line or "").removeprefix("assert ")
