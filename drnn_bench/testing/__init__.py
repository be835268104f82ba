"""The contracts of tasks, families, metrics and cells: classes of checks, which pytest runs where
inherited.

    import drnn_bench
    from drnn_bench.testing import CellContract, FamilyContract, MetricContract, TaskContract

    drnn_bench.plugin("mine.py")

    class TestMyTask(TaskContract):
        task = "my_task:T=100"

    class TestMyFamily(FamilyContract):
        family = "my_family"
        options = {"depth": 2, "width": 5}

    class TestMyMetric(MetricContract):
        metric = "my_metric"

    class TestMyCell(CellContract):
        cell = "my_cell"

`bench check FILE` runs them without pytest. May import the rooms up to jobs.
"""

import sys

_pytest = sys.modules.get("pytest")
if _pytest:  # it then shows the values of an assert that fails
    _pytest.register_assert_rewrite(
        *(f"drnn_bench.testing.{kind}" for kind in ("tasks", "families", "metrics", "cells"))
    )

from drnn_bench.testing.cells import CellContract  # noqa: E402
from drnn_bench.testing.families import FamilyContract  # noqa: E402
from drnn_bench.testing.metrics import MetricContract  # noqa: E402
from drnn_bench.testing.tasks import TaskContract  # noqa: E402

__all__ = ["CellContract", "FamilyContract", "MetricContract", "TaskContract"]
