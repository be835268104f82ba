"""The contracts of tasks, families, metrics and cells, as pytest classes to inherit from.

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

They need pytest. May import the rooms up to jobs.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"drnn_bench.testing.{kind}" for kind in ("tasks", "families", "metrics", "cells"))
)

from drnn_bench.testing.cells import CellContract  # noqa: E402
from drnn_bench.testing.families import FamilyContract  # noqa: E402
from drnn_bench.testing.metrics import MetricContract  # noqa: E402
from drnn_bench.testing.tasks import TaskContract  # noqa: E402

__all__ = ["CellContract", "FamilyContract", "MetricContract", "TaskContract"]
