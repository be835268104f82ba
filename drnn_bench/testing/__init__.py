"""The contracts of tasks and families, as pytest classes to inherit from.

    import drnn_bench
    from drnn_bench.testing import FamilyContract, TaskContract

    drnn_bench.plugin("mine.py")

    class TestMyTask(TaskContract):
        task = "my_task:T=100"

    class TestMyFamily(FamilyContract):
        family = "my_family"
        options = {"depth": 2, "width": 5}

They need pytest. May import the rooms up to jobs.
"""

import pytest

pytest.register_assert_rewrite("drnn_bench.testing.tasks", "drnn_bench.testing.families")

from drnn_bench.testing.families import FamilyContract  # noqa: E402
from drnn_bench.testing.tasks import TaskContract  # noqa: E402

__all__ = ["FamilyContract", "TaskContract"]
