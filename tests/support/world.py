"""A plan, its storage, and a driver whose trainers run in the tests' own process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from optuna.trial import FrozenTrial

from drnn_bench.execution.job import Job
from drnn_bench.jobs.plan import Request, make_plan
from drnn_bench.search.ask import DrivenStudy
from drnn_bench.search.driver import Driver
from drnn_bench.search.storage import PatientStorage, open_storage
from drnn_bench.search.study import StudySpec, open_study
from drnn_bench.search.trial_facts import TrialFacts
from drnn_bench.search.warm_start import enqueue
from drnn_bench.training.snapshots import Snapshots
from tests.support.inline import InlineExecutor


class World:
    def __init__(self, folder: Path, **request):
        asked = {"steps": 8, "trials": 3, "families": ("lstm", "dilated_cnn"), **request}
        self.plan = make_plan(Request(runs_dir=str(folder / "runs"), device="cpu", **asked))
        self.storage = open_storage(self.plan.storage)
        self.snapshots = Snapshots(folder / "runs" / "snapshots")
        self.said: list[str] = []

    def driver(
        self,
        trials: int | None = None,
        specs: list[StudySpec] | None = None,
        *,
        size: int = 1,
        change: Callable[[Job], Job] = lambda job: job,
    ) -> Driver:
        storage = PatientStorage(self.storage, lambda: None, self.said.append, lambda: None)
        studies = []
        for spec in specs or self.plan.specs:
            study = open_study(self.storage, spec, self.plan.task)
            enqueue(study, spec, self.plan.task)
            studies.append(DrivenStudy(spec, study, self.plan.prepared, "cpu"))
        executor = InlineExecutor(size, self.plan.prepared, change)
        return Driver(
            storage, studies, trials or self.plan.trials, executor, self.snapshots, self.said.append
        )

    def search(self, trials: int | None = None, specs=None, **options) -> None:
        self.driver(trials, specs, **options).run()

    def study(self, spec: StudySpec | None = None):
        return open_study(self.storage, spec or self.plan.specs[0], self.plan.task)

    def trials(self, spec: StudySpec | None = None) -> list[FrozenTrial]:
        return self.study(spec).get_trials(deepcopy=False)

    def places(self, spec: StudySpec | None = None) -> list[int]:
        """Of the trials that fill one, in the order they were made."""
        return [TrialFacts.of(t).place for t in self.trials(spec) if t.state.is_finished()
                and t.state.name != "FAIL" and TrialFacts.of(t).infeasible is None]  # fmt: skip
