"""The contracts that every task and every family keeps, as pytest classes to inherit from.

    import drnn_bench
    from drnn_bench.testing import FamilyContract, TaskContract

    drnn_bench.plugin("mine.py")

    class TestMyTask(TaskContract):
        task = "my_task:T=100"

    class TestMyFamily(FamilyContract):
        family = "my_family"
        options = {"depth": 2, "width": 5}

They need pytest, and nothing that hangs on which task or family it is.
"""

import pytest

pytest.register_assert_rewrite("drnn_bench.testing.tasks", "drnn_bench.testing.families")

from drnn_bench.testing.families import FamilyContract  # noqa: E402
from drnn_bench.testing.tasks import TaskContract  # noqa: E402

__all__ = ["FamilyContract", "TaskContract"]
