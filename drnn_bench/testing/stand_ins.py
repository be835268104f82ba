"""What the contracts need of a test library, so that they run with pytest and without it."""

from __future__ import annotations

import math
import sys
import unittest
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from drnn_bench.errors import UserError

F = TypeVar("F", bound=Callable[..., Any])


def fixture(name: str) -> Callable[[F], F]:
    """Marks a method as pytest's fixture of this name, where pytest is what imports it. Elsewhere
    the runner gives the checks their arguments, and the method is not used."""
    pytest = sys.modules.get("pytest")
    return pytest.fixture(name=name) if pytest else lambda method: method


def left_out(why: str) -> NoReturn:
    """Ends a check that has nothing to say; pytest counts it as skipped."""
    raise unittest.SkipTest(why)


def refusal(call: Callable[..., object], *given: Any, **named: Any) -> str:
    """What the UserError says that a call raises. Raises AssertionError where it raises none."""
    try:
        call(*given, **named)
    except UserError as error:
        return str(error)
    raise AssertionError("a wrong input is not refused: no UserError was raised")


def near(value: float, expected: float, tolerance: float) -> bool:
    """Whether a value is within a share of what is expected."""
    return math.isclose(value, expected, rel_tol=0, abs_tol=tolerance * abs(expected))
