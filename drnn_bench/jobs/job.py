"""The whole job: plan, search, candidates, finals, throughput. Run again, it continues."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench import plugins
from drnn_bench.execution.carry import carry
from drnn_bench.execution.job import Executor
from drnn_bench.execution.local import LocalExecutor
from drnn_bench.jobs.after_search import LOG, AfterSearch
from drnn_bench.jobs.plan import Plan
from drnn_bench.jobs.progress import StudyProgress, progress_of
from drnn_bench.jobs.reporter import Reporter
from drnn_bench.jobs.studies import Studies
from drnn_bench.search.ask import DrivenStudy
from drnn_bench.search.database import answering
from drnn_bench.search.driver import Driver
from drnn_bench.search.feasible import count_feasible
from drnn_bench.search.lock import only_driver
from drnn_bench.search.startup import import_sampling
from drnn_bench.search.storage import has_tables, open_storage
from drnn_bench.search.study import nearly_the_same, studies_of
from drnn_bench.search.trial_facts import TrialCounts, count_trials
from drnn_bench.system.signals import Signals
from drnn_bench.tasks.prepared import InMemory
from drnn_bench.training.snapshots import Snapshots

if TYPE_CHECKING:
    from drnn_bench.speed.pace import Pace

Row = dict[str, Any]
SHOW = 0.5  # seconds between two looks at the search
# What a trainer imports before its first job: a trial should not begin with it.
MODULES = ("drnn_bench.training.loop", "drnn_bench.speed.pace", "drnn_bench.speed.throughput")


class Run:
    """One run of a plan by this process and its trainers."""

    make_after = AfterSearch

    def __init__(self, plan: Plan, reporter: Reporter, signals: Signals | None = None):
        self.plan, self.reporter, self.signals = plan, reporter, signals or Signals()
        self.runs_dir = Path(plan.request.runs_dir)
        self.records = self.runs_dir / "records.jsonl"
        self.snapshots = Snapshots(self.runs_dir / "snapshots")
        self.after: AfterSearch | None = None

    def preview(self) -> None:
        """Shows the plan. Nothing is written to the storage, and others may be at work on it."""
        plan = self.plan
        for note in plan.prepared.notes:
            self.reporter.say(note)
        with answering(plan.storage), self._local() as executor:
            counts, paces = self._stored_counts(), self._pace(executor)
            self.reporter.plan(plan, counts, paces, self._feasible(), executor.size)

    def run(self) -> None:
        """Does what is left of the plan. When a signal stops it, what was running stays owed.
        What failed after the search is said by `raise_failures`."""
        plan = self.plan
        digests = [spec.digest for spec in plan.specs]
        with (
            answering(plan.storage),
            only_driver(plan.storage, self.runs_dir, digests) as confirm_lock,
            self._trainers() as (local, executor),  # they start up meanwhile
        ):
            for note in plan.prepared.notes:
                self.reporter.say(note)
            studies = Studies(plan, confirm_lock, self.reporter.say, self.signals.check)
            self.after = self.make_after(
                plan, studies, self.snapshots, self.reporter.say, self.signals.check
            )
            if self.after.complete():
                return
            import_sampling()  # the trainers still import torch
            paces = self._pace(local)
            if not self.reporter.plan(plan, studies.counts(), paces, [], executor.size):
                return
            try:
                with self.signals.deferred():  # nothing is cut short in the middle of a write
                    self._search(studies, executor, paces)
                    self.after.run(executor, local)
            finally:
                self.reporter.rest()

    def raise_failures(self) -> None:
        """Raises JobError where trainings after the search have failed; what else was to do is
        done by then."""
        if self.after is not None:
            self.after.raise_failures()

    # -- trainers ----------------------------------------------------------------------------

    def _local(self) -> contextlib.closing[LocalExecutor]:
        """Trainers of this machine."""
        plan, log = self.plan, self.runs_dir / LOG
        return contextlib.closing(LocalExecutor(plan.workers or 1, log, plan.prepared, MODULES))

    @contextlib.contextmanager
    def _trainers(self) -> Iterator[tuple[LocalExecutor, Executor]]:
        """Trainers of this machine, which measure, and those that train: the same, or others."""
        prepared, request = self.plan.prepared, self.plan.request
        with self._local() as local:
            if request.ray is None:
                yield local, local
                return
            from drnn_bench.execution.ray import RayExecutor

            cluster = RayExecutor(
                request.ray,
                InMemory(prepared.task, prepared.data_hash, prepared.arrays()),
                MODULES,
                most=self.plan.workers or None,
                gpus=request.gpus_per_trial,
                variables={plugins.VARIABLE: os.environ.get(plugins.VARIABLE, "")},
            )
            with contextlib.closing(cluster):
                self.signals.install()  # Ray has put a handler of its own in
                yield local, cluster

    # -- the plan ----------------------------------------------------------------------------

    def _stored_counts(self) -> list[TrialCounts]:
        """How far each study is, those included that nobody has begun. Says which others are
        nearly the same."""
        pairs = []
        if has_tables(self.plan.storage):
            pairs = studies_of(open_storage(self.plan.storage, create=False))
        for spec in self.plan.specs:
            for line in nearly_the_same(spec, [known for known, _ in pairs]):
                self.reporter.say(line)
        studies = {spec.digest: study for spec, study in pairs}
        found = [studies.get(spec.digest) for spec in self.plan.specs]
        return [count_trials(study.get_trials(deepcopy=False) if study else []) for study in found]

    def _pace(self, executor: LocalExecutor) -> list[Pace | None]:
        """Of each study, measured on the spot."""
        from drnn_bench.speed.pace import PaceJob

        self.reporter.say("measuring pace")
        jobs = [PaceJob(spec, self.plan.device) for spec in self.plan.specs]
        paces: dict[str, Pace | None] = {}
        say = cache(self.reporter.say)  # two trainers may compile kernels of the same cell
        for job, value in carry(executor, jobs, say=say, tick=self.signals.check):
            assert isinstance(job, PaceJob)
            paces[job.spec.digest] = value.value
        return [paces.get(spec.digest) for spec in self.plan.specs]

    def _feasible(self) -> list[str]:
        """How many architectures each study may choose among, from a small sample of the many."""
        task = self.plan.task
        return [
            count_feasible(spec.make_space(), task, spec.budget, whole=100, sample=50).words
            for spec in self.plan.specs
        ]

    # -- search ------------------------------------------------------------------------------

    def _search(self, studies: Studies, executor: Executor, paces: Sequence[Pace | None]) -> None:
        plan = self.plan
        driven = [
            DrivenStudy(spec, study, plan.prepared, plan.trial_device, pace and pace.training(spec))
            for (spec, study), pace in zip(studies.pairs, paces, strict=True)
        ]
        driver = Driver(
            studies.storage, driven, plan.trials, executor, self.snapshots, self.reporter.say
        )
        shown = 0.0

        def tick() -> None:
            nonlocal shown
            self.signals.check()
            if time.monotonic() - shown > SHOW:
                self.reporter.search([self._progress(study) for study in driven])
                shown = time.monotonic()

        driver.run(tick)
        self.reporter.search(studies.progress())
        self.reporter.rest()

    def _progress(self, study: DrivenStudy) -> StudyProgress:
        """As its driver knows it: to read the storage twice a second would cost the trainers."""
        direction = self.plan.task.direction
        return progress_of(study.spec, study.known, direction, self.plan.trials, study.ended)
