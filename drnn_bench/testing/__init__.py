"""The contracts of tasks, families and cells, as pytest classes to inherit from.

    import drnn_bench
    from drnn_bench.testing import CellContract, FamilyContract, TaskContract

    drnn_bench.plugin("mine.py")

    class TestMyTask(TaskContract):
        task = "my_task:T=100"

    class TestMyFamily(FamilyContract):
        family = "my_family"
        options = {"depth": 2, "width": 5}

    class TestMyCell(CellContract):
        cell = "my_cell"

They need pytest. May import the rooms up to jobs.
"""

import pytest

pytest.register_assert_rewrite(
    "drnn_bench.testing.tasks", "drnn_bench.testing.families", "drnn_bench.testing.cells"
)

from drnn_bench.testing.cells import CellContract  # noqa: E402
from drnn_bench.testing.families import FamilyContract  # noqa: E402
from drnn_bench.testing.tasks import TaskContract  # noqa: E402

__all__ = ["CellContract", "FamilyContract", "TaskContract"]
