"""The studies of a plan, opened in their storage, and how far they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optuna

from drnn_bench.jobs.plan import Plan
from drnn_bench.jobs.progress import StudyProgress, study_progress
from drnn_bench.search.storage import PatientStorage, open_storage
from drnn_bench.search.study import StudySpec, ask_for, nearly_the_same, open_study, studies_of
from drnn_bench.search.summary import summarise
from drnn_bench.search.trial_facts import TrialCounts, count_trials
from drnn_bench.search.warm_start import enqueue

Row = dict[str, Any]


class Studies:
    """The studies of a plan, in its order. Makes those that are not in the storage yet."""

    def __init__(
        self,
        plan: Plan,
        confirm_lock: Callable[[], None],
        say: Callable[[str], None],
        check: Callable[[], None],
    ):
        """`confirm_lock` and `check` are those of PatientStorage."""
        self.plan = plan
        opened = open_storage(plan.storage)
        known = [spec for spec, _ in studies_of(opened, say)]
        for spec in plan.specs:
            for line in nearly_the_same(spec, known):
                say(line)
        self.storage = PatientStorage(opened, confirm_lock, say, check)
        self.pairs = self.storage.do(lambda: [self._open(opened, spec) for spec in plan.specs])

    def _open(
        self, storage: optuna.storages.RDBStorage, spec: StudySpec
    ) -> tuple[StudySpec, optuna.Study]:
        study = open_study(storage, spec, self.plan.task)
        ask_for(study, self.plan.trials)
        enqueue(study, spec, self.plan.task)
        return spec, study

    def counts(self) -> list[TrialCounts]:
        return [count_trials(study.get_trials(deepcopy=False)) for _, study in self.pairs]

    def complete(self) -> bool:
        """Whether no study owes a trial."""
        return all(
            count.done >= self.plan.trials or "ended" in study.user_attrs
            for count, (_, study) in zip(self.counts(), self.pairs, strict=True)
        )

    def progress(self) -> list[StudyProgress]:
        return self.storage.do(
            lambda: [study_progress(spec, study, self.plan.trials) for spec, study in self.pairs]
        )

    def summaries(self) -> list[tuple[StudySpec, optuna.Study, Row]]:
        """Each study with its summary, as `summarise` makes it."""
        direction = self.plan.task.direction
        return self.storage.do(
            lambda: [(spec, study, summarise(study, spec, direction)) for spec, study in self.pairs]
        )
