"""The whole job: plan, search, finals, throughput. Run again, it continues."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drnn_bench import plugins
from drnn_bench.errors import JobError
from drnn_bench.execution.carry import carry
from drnn_bench.execution.job import Executor, Failed, Job, Returned
from drnn_bench.execution.local import LocalExecutor
from drnn_bench.jobs.finals import FinalJob, failed_final, keep_final
from drnn_bench.jobs.owed import finals_owed, speeds_owed
from drnn_bench.jobs.plan import Plan
from drnn_bench.jobs.reporter import Reporter
from drnn_bench.jobs.studies import Studies
from drnn_bench.results import records
from drnn_bench.search.ask import DrivenStudy
from drnn_bench.search.database import answering
from drnn_bench.search.driver import Driver
from drnn_bench.search.feasible import count_feasible
from drnn_bench.search.importance import importance
from drnn_bench.search.lock import only_driver
from drnn_bench.search.storage import has_tables, open_storage
from drnn_bench.search.study import studies_of
from drnn_bench.search.summary import study_row
from drnn_bench.search.trial_facts import TrialCounts, count_trials
from drnn_bench.system.provenance import cores
from drnn_bench.system.signals import Signals
from drnn_bench.tasks.prepared import InMemory
from drnn_bench.training.snapshots import Snapshots

Row = dict[str, Any]
SHOW = 0.5  # seconds between two looks at the search
LOG = "trainers.log"  # in the runs folder: what trainers print
# What a trainer imports before its first job: a trial should not begin with it.
MODULES = ("drnn_bench.training.loop", "drnn_bench.speed.throughput")


class Run:
    """One run of a plan by this process and its trainers."""

    def __init__(self, plan: Plan, reporter: Reporter, signals: Signals | None = None):
        self.plan, self.reporter, self.signals = plan, reporter, signals or Signals()
        self.runs_dir = Path(plan.request.runs_dir)
        self.records = self.runs_dir / "records.jsonl"
        self.snapshots = Snapshots(self.runs_dir / "snapshots")
        self.failed: list[tuple[FinalJob, str]] = []  # finals that failed, each with its reason

    def preview(self) -> None:
        """Shows the plan. Nothing is written to the storage, and others may be at work on it."""
        plan = self.plan
        for note in plan.prepared.notes:
            self.reporter.say(note)
        with answering(plan.storage), self._local() as executor:
            counts, pace = self._stored_counts(), self._pace(executor)
            self.reporter.plan(plan, counts, pace, self._feasible(), executor.size)

    def run(self) -> None:
        """Does what is left of the plan. When a signal stops it, what was running stays owed. A
        final that failed is said by `raise_failures` afterwards."""
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
            if self._complete(studies):
                return
            seconds = self._pace(local)
            if not self.reporter.plan(plan, studies.counts(), seconds, [], executor.size):
                return
            try:
                with self.signals.deferred():  # nothing is cut short in the middle of a write
                    self._search(studies, executor, seconds)
                    self._record_studies(studies, executor.size)
                    self._finals(studies, executor)
                    self._speed(studies, local)
            finally:
                self.reporter.rest()

    def raise_failures(self) -> None:
        """Raises JobError where finals have failed; what else was to do is done by then."""
        if self.failed:
            each = "; ".join(f"{_words(job)} ({reason})" for job, reason in self.failed)
            count = len(self.failed)
            raise JobError(
                f"{count} final{'s' * (count > 1)} failed: {each}. A family with one that failed "
                f"has no rank, the others are ranked; {self.runs_dir / LOG} has the traceback, and "
                "the same command tries again"
            )

    def _complete(self, studies: Studies) -> bool:
        """Whether nothing is left to do."""
        if not studies.complete():
            return False
        rows, finalists = self._rows(), studies.finalists()
        recorded = {row["study"] for row in rows if row["role"] == "study"}
        return (
            all(spec.digest in recorded for spec, _ in finalists)
            and not finals_owed(self.plan, finalists, rows)
            and not speeds_owed(self.plan, finalists, rows)
        )

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

    def _carry(
        self, executor: Executor, jobs: Sequence[Job], each_alone: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        """The jobs' values, each with its job."""
        return carry(executor, jobs, say=self.reporter.say, tick=self.signals.check,
                     again=self._continued, each_alone=each_alone)  # fmt: skip

    def _continued(self, job: Job) -> Job:
        """The job to run where one was lost: a final goes on from its last snapshot."""
        if not isinstance(job, FinalJob):
            return job
        return replace(job, resume=self.snapshots.read(job.name))

    # -- the plan ----------------------------------------------------------------------------

    def _stored_counts(self) -> list[TrialCounts]:
        """How far each study is, those included that nobody has begun."""
        studies = {}
        if has_tables(self.plan.storage):
            storage = open_storage(self.plan.storage, create=False)
            studies = {spec.digest: study for spec, study in studies_of(storage)}
        known = [studies.get(spec.digest) for spec in self.plan.specs]
        return [count_trials(study.get_trials(deepcopy=False) if study else []) for study in known]

    def _pace(self, executor: LocalExecutor) -> list[float | None]:
        """Seconds of a training step, per study, measured on the spot."""
        from drnn_bench.speed.throughput import PaceJob

        self.reporter.say("measuring pace")
        jobs = [PaceJob(spec, self.plan.device) for spec in self.plan.specs]
        paces: dict[str, float | None] = {}
        for job, value in self._carry(executor, jobs):
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

    def _search(
        self, studies: Studies, executor: Executor, seconds: Sequence[float | None]
    ) -> None:
        plan = self.plan
        driven = [
            DrivenStudy(spec, study, plan.prepared, plan.trial_device, pace and pace * spec.steps)
            for (spec, study), pace in zip(studies.pairs, seconds, strict=True)
        ]
        driver = Driver(
            studies.storage, driven, plan.trials, executor, self.snapshots, self.reporter.say
        )
        shown = 0.0

        def tick() -> None:
            nonlocal shown
            self.signals.check()
            if time.monotonic() - shown > SHOW:
                self.reporter.search(studies.progress())
                shown = time.monotonic()

        driver.run(tick)
        self.reporter.search(studies.progress())
        self.reporter.rest()

    def _record_studies(self, studies: Studies, workers: int) -> None:
        """Records how far each search is, unless its last row has the same counts."""
        latest = {row["study"]: row for row in self._rows() if row["role"] == "study"}
        for spec, study, summary in studies.summaries():
            if not summary["best"]:
                self.reporter.say(f"{spec.family} at {spec.budget}: no complete trial, no finalist")
                continue
            before = latest.get(spec.digest)
            if before is None or before["trials"] != summary["trials"]:
                summary["importance"] = importance(study, spec.make_space())
                row = study_row(spec, self.plan.prepared, summary, self.plan.device)
                self._record([row | {"started": records.now(), "workers": workers}])

    # -- finals and throughput ---------------------------------------------------------------

    def _finals(self, studies: Studies, executor: Executor) -> None:
        owed = finals_owed(self.plan, studies.finalists(), self._rows())
        if not owed:
            return
        self.reporter.say(f"finals: {len(owed)} trainings on fresh seeds")
        # Where they are fewer than this machine's trainers, each has several threads.
        threads = max(1, min(self.plan.workers, cores()) // len(owed))
        jobs = [self._continued(replace(job, threads=threads)) for job in owed]

        def keep_row(row: Row) -> None:
            self._record([row | {"workers": executor.size}])

        for job, value in self._carry(executor, jobs, each_alone=True):
            if isinstance(value, Failed):
                self._note_failure(job, value.reason)
                continue
            if not isinstance(value, Returned):
                if value.snapshot is not None:  # an evaluation from before a resumption has none
                    self.snapshots.write(job.name, value.snapshot)
                continue
            final = value.value
            keep_final(final, self.runs_dir, keep_row)
            self.snapshots.remove(job.name)
            if final.row["state"] == "diverged":
                self.reporter.say(f"{final.row['family']} seed {final.row['seed']} diverged")

    def _note_failure(self, job: FinalJob, reason: str) -> None:
        """A final that fails leaves its family without a rank; the next run tries it again."""
        self.reporter.say(f"{_words(job)} failed: {reason}")
        self.failed.append((job, reason))
        self.snapshots.remove(job.name)  # it may be what fails
        self._record([failed_final(job, self.plan.prepared, reason, self.plan.device)])

    def _speed(self, studies: Studies, executor: LocalExecutor) -> None:
        from drnn_bench.speed.throughput import SpeedJob

        failed = {job.spec.digest for job, _ in self.failed}
        finalists = [
            (spec, best) for spec, best in studies.finalists() if spec.digest not in failed
        ]
        models = speeds_owed(self.plan, finalists, self._rows())
        if not models:
            return
        self.reporter.say(f"throughput: {len(models)} finalists, in turns on a quiet machine")
        for _, value in self._carry(executor, [SpeedJob(models, self.plan.device)]):
            self._record(value.value)

    def _rows(self) -> list[Row]:
        rows, _ = records.read(self.records)
        return rows

    def _record(self, rows: list[Row]) -> None:
        try:
            records.append(self.records, rows)
        except OSError as error:
            raise JobError(
                f"{self.records} cannot be written ({error.strerror}); what is finished is saved, "
                "and the same command continues"
            ) from None


def _words(job: FinalJob) -> str:
    return f"{job.spec.family} at {job.spec.budget:,}, seed {job.seed}"
