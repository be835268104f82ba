"""The whole job: plan, search, finals, throughput, leaderboard. Run again, it continues."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench import plugins
from drnn_bench.errors import JobError
from drnn_bench.execution.carry import carry
from drnn_bench.execution.job import Executor, Returned
from drnn_bench.execution.local import LocalExecutor
from drnn_bench.jobs.finals import FinalJob, final_seed, keep_final
from drnn_bench.jobs.plan import Plan, Request, make_plan
from drnn_bench.jobs.progress import study_progress
from drnn_bench.jobs.reporter import Reporter, Silent
from drnn_bench.results import records
from drnn_bench.search.ask import DrivenStudy
from drnn_bench.search.driver import Driver
from drnn_bench.search.feasible import count_feasible
from drnn_bench.search.importance import importance
from drnn_bench.search.lock import only_driver
from drnn_bench.search.storage import (
    PatientStorage,
    answering,
    has_tables,
    open_storage,
)
from drnn_bench.search.study import StudySpec, ask_for, of_other_code, open_study, studies_of
from drnn_bench.search.summary import study_row, summarise
from drnn_bench.search.trial_facts import TrialCounts, count_trials
from drnn_bench.search.warm_start import enqueue
from drnn_bench.system.provenance import cores, provenance
from drnn_bench.system.signals import Signals
from drnn_bench.tasks.prepared import InMemory
from drnn_bench.training.snapshots import Snapshots

if TYPE_CHECKING:
    import optuna
    import pandas as pd

Row = dict[str, Any]
SHOW = 0.5  # seconds between two looks at the search
# What a trainer imports before its first job: a trial should not begin with it.
MODULES = ("drnn_bench.training.loop", "drnn_bench.speed.throughput")


def run(**request: Any) -> pd.DataFrame:
    """The whole job from Python: `run(task="pixel_digits", trials=20)` -> the leaderboard.

    Takes the fields of `plan.Request`. Raises ValueError for wrong input, RuntimeError where the
    job failed.
    """
    from drnn_bench.results.ranking import leaderboard

    asked = Request(**request)
    Run(make_plan(asked), Silent()).run()
    return leaderboard(runs_dir=asked.runs_dir, task=asked.task)


class Run:
    """One run of a plan by this process and its trainers."""

    def __init__(self, plan: Plan, reporter: Reporter, signals: Signals | None = None):
        self.plan, self.reporter, self.signals = plan, reporter, signals or Signals()
        self.runs_dir = Path(plan.request.runs_dir)
        self.records = self.runs_dir / "records.jsonl"
        self.snapshots = Snapshots(self.runs_dir / "snapshots")

    def preview(self) -> None:
        """Shows the plan. Nothing is written to the storage, and others may be at work on it."""
        plan = self.plan
        log = self.runs_dir / "trainers.log"
        for note in plan.prepared.notes:
            self.reporter.say(note)
        with (
            answering(plan.storage),
            contextlib.closing(
                LocalExecutor(plan.workers or 1, log, plan.prepared, MODULES)
            ) as executor,
        ):
            begun = has_tables(plan.storage)
            storage = open_storage(plan.storage, create=False) if begun else None
            known = {s.digest: study for s, study in studies_of(storage)} if begun else {}
            trials = [
                known[s.digest].get_trials(deepcopy=False) if s.digest in known else []
                for s in plan.specs
            ]
            counts = [*map(count_trials, trials)]
            self.reporter.plan(plan, counts, self._pace(executor), self._feasible(), executor.size)

    def run(self) -> None:
        """Does what is left of the plan. Where a signal stops it, what was running stays owed."""
        plan, identities = self.plan, [spec.digest for spec in self.plan.specs]
        with (
            answering(plan.storage),
            only_driver(plan.storage, self.runs_dir, identities) as confirm_lock,
            self._trainers() as (local, executor),  # they start up meanwhile
        ):
            for note in plan.prepared.notes:
                self.reporter.say(note)
            self._open(confirm_lock)
            if self._complete():
                return
            seconds = self._pace(local)
            if not self.reporter.plan(plan, self._counts(), seconds, [], executor.size):
                return
            try:
                with self.signals.deferred():  # nothing is cut short in the middle of a write
                    self._search(executor, seconds)
                    self._finals(executor)
                    self._speed(local)
            finally:
                self.reporter.rest()

    @contextlib.contextmanager
    def _trainers(self) -> Iterator[tuple[LocalExecutor, Executor]]:
        """Those of this machine, which measure, and those that train: the same, or a cluster's."""
        plan, log = self.plan, self.runs_dir / "trainers.log"
        asked = plan.request
        local = LocalExecutor(plan.workers or 1, log, plan.prepared, MODULES)
        with contextlib.closing(local):
            if asked.ray is None:
                yield local, local
                return
            from drnn_bench.execution.ray import RayExecutor

            prepared = plan.prepared
            shared = InMemory(prepared.task, prepared.data_hash, prepared.arrays())
            most, gpus = plan.workers or None, asked.gpus_per_trial
            named = {plugins.VARIABLE: os.environ.get(plugins.VARIABLE, "")}
            cluster = RayExecutor(asked.ray, shared, MODULES, most=most, gpus=gpus, variables=named)
            with contextlib.closing(cluster):
                self.signals.install()  # Ray has put a handler of its own in
                yield local, cluster

    def _open(self, confirm_lock: Callable[[], None]) -> None:
        """Finds or makes the studies."""
        opened = open_storage(self.plan.storage)
        if any(spec.plugins for spec in self.plan.specs):
            known = [spec for spec, _ in studies_of(opened, self.reporter.say)]
            for spec in self.plan.specs:
                for line in of_other_code(spec, known):
                    self.reporter.say(line)
        self.storage = PatientStorage(opened, confirm_lock, self.reporter.say, self.signals.check)
        self.studies = self.storage.do(lambda: [self._study(opened, s) for s in self.plan.specs])

    def _study(
        self, storage: optuna.storages.RDBStorage, spec: StudySpec
    ) -> tuple[StudySpec, optuna.Study]:
        study = open_study(storage, spec, self.plan.task)
        ask_for(study, self.plan.trials)
        enqueue(study, spec, self.plan.task)
        return spec, study

    def _complete(self) -> bool:
        """Whether nothing is left to do."""
        searched = all(
            count.done >= self.plan.trials or "ended" in study.user_attrs
            for count, (_, study) in zip(self._counts(), self.studies, strict=True)
        )
        if not searched:
            return False
        rows, _ = records.read(self.records)
        known = {row["study"] for row in rows if row["role"] == "study"}
        return (
            all(spec.digest in known for spec in self.plan.specs if self._best(spec))
            and not self._final_jobs(rows)
            and not self._speed_models(rows)
        )

    def _counts(self) -> list[TrialCounts]:
        return [count_trials(study.get_trials(deepcopy=False)) for _, study in self.studies]

    def _carry(self, executor: Executor, jobs: list) -> Iterator[tuple[Any, Any]]:
        """The jobs' values, each with its job."""
        return carry(executor, jobs, say=self.reporter.say, tick=self.signals.check,
                     again=self._continued)  # fmt: skip

    def _continued(self, job: Any) -> Any:
        """A job whose trainer was lost: a final goes on from its last snapshot."""
        if not isinstance(job, FinalJob):
            return job
        return replace(job, resume=self.snapshots.read(job.name))

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

    def _search(self, executor: Executor, seconds: list[float | None]) -> None:
        plan = self.plan
        driven = [
            DrivenStudy(spec, study, plan.task, plan.trial_device, pace and pace * spec.steps)
            for (spec, study), pace in zip(self.studies, seconds, strict=True)
        ]
        say = self.reporter.say
        driver = Driver(self.storage, driven, plan.trials, executor, self.snapshots, say)

        shown = 0.0

        def tick() -> None:
            nonlocal shown
            self.signals.check()
            if time.monotonic() - shown > SHOW:
                self._show()
                shown = time.monotonic()

        driver.run(tick)
        self._show()
        self.reporter.rest()

    def _show(self) -> None:
        rows = self.storage.do(
            lambda: [study_progress(*each, self.plan.trials) for each in self.studies]
        )
        self.reporter.search(rows)

    def _best(self, spec: StudySpec) -> Row | None:
        """The study's summary if it has a finalist."""
        study = next(study for known, study in self.studies if known == spec)
        summary = self.storage.do(lambda: summarise(study, spec, self.plan.task.direction))
        return summary if summary["best"] else None

    # -- finals and throughput ---------------------------------------------------------------

    def _finals(self, executor: Executor) -> None:
        rows, _ = records.read(self.records)
        self._record_studies(rows)
        jobs = self._final_jobs(rows)
        if not jobs:
            return
        self.reporter.say(f"finals: {len(jobs)} trainings on fresh seeds")
        # Where they are fewer than this machine's trainers, each has several threads.
        threads = max(1, min(self.plan.workers, cores()) // len(jobs))
        jobs = [self._continued(replace(job, threads=threads)) for job in jobs]
        for job, value in self._carry(executor, jobs):
            if not isinstance(value, Returned):
                if value.snapshot is not None:  # it has none where it is told again
                    self.snapshots.write(job.name, value.snapshot)
                continue
            final = value.value
            keep_final(final, self.runs_dir, lambda row: self._record([row]))
            self.snapshots.remove(job.name)
            if final.row["state"] == "diverged":
                self.reporter.say(f"{final.row['family']} seed {final.row['seed']} diverged")

    def _record(self, rows: list[Row]) -> None:
        try:
            records.append(self.records, rows)
        except OSError as error:
            raise JobError(
                f"{self.records} cannot be written ({error.strerror}); what is finished is saved, "
                "and the same command continues"
            ) from None

    def _record_studies(self, rows: list[Row]) -> None:
        """One row for each search as it now stands, unless the last one says the same."""
        latest = {row["study"]: row for row in rows if row["role"] == "study"}
        for spec in self.plan.specs:
            summary = self._best(spec)
            if summary is None:
                self.reporter.say(f"{spec.family} at {spec.budget}: no complete trial, no finalist")
                continue
            before = latest.get(spec.digest)
            if before is None or before["trials"] != summary["trials"]:
                study = next(study for known, study in self.studies if known == spec)
                summary["importance"] = importance(study, spec.make_space())
                row = study_row(spec, self.plan.task, summary, self.plan.device)
                self._record([row | {"started": records.now()}])

    def _final_jobs(self, rows: list[Row]) -> list[FinalJob]:
        done = {
            (row["study"], _config_key(row), row["seed"]) for row in rows if row["role"] == "final"
        }
        bests = [(spec, self._best(spec)) for spec in self.plan.specs]
        return [
            FinalJob(spec=spec, best=summary["best"], seed=seed, device=self.plan.trial_device)
            for number in range(self.plan.seeds)
            for spec, summary in bests
            if summary
            and (spec.digest, _config_key(summary["best"]), seed := final_seed(spec, number))
            not in done
        ]

    def _speed(self, executor: LocalExecutor) -> None:
        from drnn_bench.speed.throughput import SpeedJob

        rows, _ = records.read(self.records)
        models = self._speed_models(rows)
        if not models:
            return
        self.reporter.say(f"throughput: {len(models)} finalists, in turns on a quiet machine")
        for _, value in self._carry(executor, [SpeedJob(models, self.plan.device)]):
            self._record(value.value)

    def _speed_models(self, rows: list[Row]) -> tuple[tuple[StudySpec, Row], ...]:
        """All finalists, if any has not been measured on this hardware; else none. Models that
        are compared are measured in one session."""
        here = provenance(self.plan.device, 1)
        same = ("processor", "torch", "device", "dtype")
        sessions: dict[str, set] = {}
        for row in rows:
            if row["role"] == "speed" and all(row[key] == here[key] for key in same):
                sessions.setdefault(row["session"], set()).add((row["study"], _config_key(row)))
        found = [(spec, self._best(spec)) for spec in self.plan.specs]
        models = tuple((spec, summary["best"]) for spec, summary in found if summary)
        wanted = {(spec.digest, _config_key(best)) for spec, best in models}
        return () if any(wanted <= seen for seen in sessions.values()) else models


def _config_key(row: Row) -> str:
    return f"{sorted(row['config'].items())} {row['learning_rate']!r}"
