"""What a plan does after its searches: candidates, study rows, finals and speeds.

All of it is computed from the searches and the recorded rows, so that a run that was killed goes on
with what is owed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drnn_bench.errors import JobError
from drnn_bench.execution.carry import carry
from drnn_bench.execution.job import Executor, Failed, Job, Returned
from drnn_bench.execution.local import LocalExecutor
from drnn_bench.jobs.candidates import CandidateJob, Summary, candidates_owed, with_finalists
from drnn_bench.jobs.finals import FinalJob, failed_final, keep_final
from drnn_bench.jobs.owed import Finalist, finals_owed, speeds_owed
from drnn_bench.jobs.plan import Plan
from drnn_bench.jobs.progress import duration
from drnn_bench.jobs.studies import Studies
from drnn_bench.results import records
from drnn_bench.search.importance import importance
from drnn_bench.search.summary import study_row
from drnn_bench.system.provenance import cores
from drnn_bench.training.snapshots import Snapshots

Row = dict[str, Any]
SAY = 60.0  # seconds between two lines on how many trainings are done
LOG = "trainers.log"  # in the runs folder: what trainers print
Training = CandidateJob | FinalJob


class AfterSearch:
    """`check` is called at least every half a second, and may raise to end the run."""

    def __init__(
        self,
        plan: Plan,
        studies: Studies,
        snapshots: Snapshots,
        say: Callable[[str], None],
        check: Callable[[], None],
    ):
        self.plan, self.studies, self.snapshots = plan, studies, snapshots
        self.say, self.check = say, check
        self.runs_dir = Path(plan.request.runs_dir)
        self.records = self.runs_dir / "records.jsonl"
        self.failed: list[tuple[Training, str]] = []  # each with its reason

    def complete(self) -> bool:
        """Whether nothing is left to do, the searches included."""
        if not self.studies.complete() or self._candidates_owed():
            return False
        rows, finalists = self._rows(), self._finalists()
        recorded = {row["study"] for row in rows if row["role"] == "study"}
        return (
            all(spec.digest in recorded for spec, _ in finalists)
            and not finals_owed(self.plan, finalists, rows)
            and not speeds_owed(self.plan, finalists, rows)
        )

    def run(self, executor: Executor, local: LocalExecutor) -> None:
        """Does what is left. `executor` trains, `local` measures speeds."""
        self.candidates(executor)
        self.record_studies(executor.size)
        self.finals(executor)
        self.speeds(local)

    def candidates(self, executor: Executor) -> None:
        owed = self._candidates_owed()
        if not owed:
            return
        self.say(f"candidates: {len(owed)} trainings of the best trials on other seeds")
        for job, row in self._train(executor, owed, "candidates"):
            if isinstance(row, Failed):
                self._note_failure(job, row.reason)
            else:
                self._record([row | {"workers": executor.size}])

    def record_studies(self, workers: int) -> None:
        """Records how far each search is, unless its last row has the same counts."""
        latest = {row["study"]: row for row in self._rows() if row["role"] == "study"}
        for spec, _, summary in self.studies.summaries():
            if not summary["best"]:
                self.say(f"{spec.family} at {spec.budget}: no complete trial, no finalist")
        for spec, study, summary in self._with_finalists():
            before = latest.get(spec.digest)
            if before is None or before["trials"] != summary["trials"]:
                summary["importance"] = importance(study, spec.make_space())
                row = study_row(spec, self.plan.prepared, summary, self.plan.device)
                self._record([row | {"started": records.now(), "workers": workers}])

    def finals(self, executor: Executor) -> None:
        owed = finals_owed(self.plan, self._finalists(), self._rows())
        if not owed:
            return
        self.say(f"finals: {len(owed)} trainings on fresh seeds")
        # Where they are fewer than this machine's trainers, each has several threads.
        threads = max(1, min(self.plan.workers, cores()) // len(owed))

        def keep_row(row: Row) -> None:
            self._record([row | {"workers": executor.size}])

        owed = [replace(job, threads=threads) for job in owed]
        for job, final in self._train(executor, owed, "finals"):
            if isinstance(final, Failed):
                assert isinstance(job, FinalJob)
                self._note_failure(job, final.reason)
                row = failed_final(job, self.plan.prepared, final.reason, self.plan.device)
                self._record([row])
                continue
            keep_final(final, self.runs_dir, keep_row)
            if final.row["state"] == "diverged":
                self.say(f"{final.row['family']} seed {final.row['seed']} diverged")

    def speeds(self, executor: LocalExecutor) -> None:
        from drnn_bench.speed.throughput import SpeedJob

        failed = {job.spec.digest for job, _ in self.failed}
        finalists = [x for x in self._finalists() if x[0].digest not in failed]
        models = speeds_owed(self.plan, finalists, self._rows())
        if not models:
            return
        self.say(f"throughput: {len(models)} finalists, in turns on a quiet machine")
        job = SpeedJob(models, self.plan.device)
        for _, value in carry(executor, [job], say=self.say, tick=self.check):
            self._record(value.value)

    def raise_failures(self) -> None:
        """Raises JobError where trainings have failed; what else was to do is done by then."""
        if self.failed:
            each = "; ".join(f"{_words(job)} ({reason})" for job, reason in self.failed)
            raise JobError(
                f"{_count([job for job, _ in self.failed])} failed: {each}. A family with one that "
                f"failed has no rank, the others are ranked; {self.runs_dir / LOG} has the "
                "traceback, and the same command tries again"
            )

    # ----------------------------------------------------------------------------------------

    def _candidates_owed(self) -> list[CandidateJob]:
        return candidates_owed(self.studies.summaries(), self._rows(), self.plan.trial_device)

    def _with_finalists(self) -> list[Summary]:
        """The searches that have a finalist: those of which no candidate is owed."""
        rows = self._rows()
        owing = {job.spec.digest for job in self._candidates_owed()}
        summaries = [x for x in self.studies.summaries() if x[0].digest not in owing]
        return with_finalists(summaries, rows, self.plan.task)

    def _finalists(self) -> list[Finalist]:
        return [(spec, summary["best"]) for spec, _, summary in self._with_finalists()]

    def _train(
        self, executor: Executor, jobs: Sequence[Training], what: str
    ) -> Iterator[tuple[Training, Any]]:
        """Each job with what it returns, or with why it failed: then the others go on. Trainings
        continue from their snapshots, and bring new ones. How far they are is said meanwhile."""
        done, began = 0, time.monotonic()
        said = began

        def tick() -> None:
            nonlocal said
            self.check()
            if (now := time.monotonic()) - said > SAY:
                self.say(f"{what}: {done} of {len(jobs)} trained in {duration(now - began)}")
                said = now

        def continued(job: Job) -> Job:
            assert isinstance(job, Training)
            return replace(job, resume=self.snapshots.read(job.name))

        for job, value in carry(
            executor, [continued(job) for job in jobs], say=self.say, tick=tick,
            again=continued, each_alone=True,
        ):  # fmt: skip
            assert isinstance(job, Training)
            if isinstance(value, Returned | Failed):
                done += 1
                yield job, value.value if isinstance(value, Returned) else value
                self.snapshots.remove(job.name)  # of a failure: it may be what fails
            elif value.snapshot is not None:  # an evaluation from before a resumption has none
                self.snapshots.write(job.name, value.snapshot)

    def _note_failure(self, job: Training, reason: str) -> None:
        """The next run tries it again. Until then its search has no rank."""
        self.say(f"{_words(job)} failed: {reason}")
        self.failed.append((job, reason))

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


def _count(jobs: Sequence[Training]) -> str:
    """How many trainings: 1 final, 2 candidates and 1 final."""
    kinds = ("candidate", CandidateJob), ("final", FinalJob)
    counts = [(name, sum(isinstance(job, kind) for job in jobs)) for name, kind in kinds]
    return " and ".join(f"{n} {name}{'s' * (n > 1)}" for name, n in counts if n)


def _words(job: Training) -> str:
    return f"{job.spec.family} at {job.spec.budget:,}, seed {job.seed}"
