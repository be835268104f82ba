"""The contracts of tasks and families: classes of checks, which pytest runs where inherited.

    import drnn_bench
    from drnn_bench.testing import FamilyContract, TaskContract

    drnn_bench.plugin("mine.py")

    class TestMyTask(TaskContract):
        task = "my_task:T=100"

    class TestMyFamily(FamilyContract):
        family = "my_family"
        options = {"depth": 2, "width": 5}

`bench check FILE` runs them without pytest. May import the rooms up to jobs.
"""

import sys

_pytest = sys.modules.get("pytest")
if _pytest:  # it then shows the values of an assert that fails
    _pytest.register_assert_rewrite("drnn_bench.testing.tasks", "drnn_bench.testing.families")

from drnn_bench.testing.families import FamilyContract  # noqa: E402
from drnn_bench.testing.tasks import TaskContract  # noqa: E402

__all__ = ["FamilyContract", "TaskContract"]
