"""The whole job: plan, search, finals, throughput, leaderboard. Run again, it continues."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnn_bench import records, weights
from drnn_bench.database import TrialLock, answering
from drnn_bench.errors import JobError
from drnn_bench.feasible import count_feasible
from drnn_bench.finals import final_seed, study_row
from drnn_bench.importance import importance
from drnn_bench.plan import Plan, Request, make_plan
from drnn_bench.progress import standing
from drnn_bench.provenance import cores, provenance
from drnn_bench.reporter import Reporter, Silent
from drnn_bench.search import release
from drnn_bench.storage import MAX_RETRIES, has_tables, open_storage
from drnn_bench.studies import (
    StudySpec,
    Tally,
    ask_for,
    of_other_code,
    open_study,
    studies_of,
    summarise,
    tally,
)
from drnn_bench.supervise import at_work, check, only_run, supervise
from drnn_bench.workers import Pool

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def run(**request: Any) -> pd.DataFrame:
    """The whole job from Python: `run(task="pixel_digits", trials=20)` -> the leaderboard.

    Takes the fields of `plan.Request`. Raises ValueError for wrong input, RuntimeError where the
    job failed.
    """
    from drnn_bench.ranking import leaderboard

    asked = Request(**request)
    Job(make_plan(asked), Silent()).run()
    return leaderboard(runs_dir=asked.runs_dir, task=asked.task)


class Job:
    """One run of a plan in this process and its workers."""

    def __init__(self, plan: Plan, reporter: Reporter):
        self.plan, self.reporter = plan, reporter
        self.runs_dir = Path(plan.request.runs_dir)
        self.records = self.runs_dir / "records.jsonl"
        self.log = self.runs_dir / "workers.log"

    def preview(self) -> None:
        """Shows the plan. Nothing is written to the storage, and others may be at work on it."""
        plan = self.plan
        for note in plan.prepared.notes:
            self.reporter.say(note)
        with answering(plan.storage), Pool(plan.workers, self.log) as pool:
            begun = has_tables(plan.storage)
            storage = open_storage(plan.storage, create=False) if begun else None
            known = {s.identity: study for s, study in studies_of(storage)} if begun else {}
            trials = [
                known[s.identity].get_trials(deepcopy=False) if s.identity in known else []
                for s in plan.specs
            ]
            self.reporter.plan(plan, [*map(tally, trials)], self._pace(pool), self._feasible())

    def run(self) -> None:
        """Does what is left of the plan. On KeyboardInterrupt, what was running is queued again."""
        plan = self.plan
        with (
            answering(plan.storage),
            only_run(plan.storage, self.runs_dir) as running,
            at_work(plan.storage) as (working, alone),
            Pool(plan.workers, self.log, (running, *working)) as pool,  # they start up meanwhile
        ):
            for note in plan.prepared.notes:
                self.reporter.say(note)
            self._open(alone)
            if self._complete():
                return
            seconds = self._pace(pool)
            if not self.reporter.plan(plan, self._tallies(), seconds, feasible=[]):
                return
            try:
                self._search(pool, seconds)
            finally:
                self.reporter.rest()
            self._finals(pool)
            self._speed(pool)

    def _open(self, alone: bool) -> None:
        """Finds or makes the studies. `alone`: nobody else is at work on the storage."""
        storage = open_storage(self.plan.storage)
        if any(spec.plugins for spec in self.plan.specs):
            known = [spec for spec, _ in studies_of(storage, self.reporter.say)]
            for spec in self.plan.specs:
                for line in of_other_code(spec, known):
                    self.reporter.say(line)
        self.lock = TrialLock(storage)
        self.studies = [(s, open_study(storage, s, self.plan.task)) for s in self.plan.specs]
        for _, study in self.studies:
            if alone:  # whoever ran these trials is dead
                release(study, self.lock)
            ask_for(study, self.plan.trials)

    def _complete(self) -> bool:
        """Whether nothing is left to do."""
        searched = all(
            count.done >= self.plan.trials or "ended" in study.user_attrs
            for count, (_, study) in zip(self._tallies(), self.studies, strict=True)
        )
        if not searched:
            return False
        rows, _ = records.read(self.records)
        known = {row["study"] for row in rows if row["role"] == "study"}
        return (
            all(spec.identity in known for spec in self.plan.specs if self._best(spec))
            and not self._final_jobs(rows)
            and not self._speed_models(rows)
        )

    def _tallies(self) -> list[Tally]:
        return [tally(study.get_trials(deepcopy=False)) for _, study in self.studies]

    def _base_job(self) -> Row:
        return {"data": self.plan.prepared.folder, "device": self.plan.device}

    def _pace(self, pool: Pool) -> list[float | None]:
        """Seconds of a training step, per study, measured on the spot."""
        jobs = [{"do": "pace", "spec": asdict(s), **self._base_job()} for s in self.plan.specs]
        paces: dict[str, float | None] = {}
        for event, job, answer in pool.run(jobs):
            check(event, answer)
            if event == "done":
                paces[StudySpec(**job["spec"]).identity] = answer["seconds_per_step"]
        return [paces.get(spec.identity) for spec in self.plan.specs]

    def _feasible(self) -> list[str]:
        """How many architectures each study may choose among, from a small sample of the many."""
        task = self.plan.task
        return [
            count_feasible(spec.make_space(), task, spec.budget, whole=100, sample=50).words
            for spec in self.plan.specs
        ]

    # -- search ------------------------------------------------------------------------------

    def _search(self, pool: Pool, seconds: list[float | None]) -> None:
        specs, steps = self.plan.specs, zip(self.plan.specs, seconds, strict=True)
        job = {
            "do": "search",
            "storage": self.plan.storage,
            "studies": [asdict(spec) for spec in specs],
            "trials": self.plan.trials,
            **self._base_job(),
        }

        def show() -> None:
            self.reporter.search([standing(*each, self.plan.trials) for each in self.studies])

        supervise(
            pool,
            self.studies,
            self.lock,
            job,
            show=show,
            say=self.reporter.say,
            expected={spec.identity: pace * spec.steps for spec, pace in steps if pace},
        )

    def _best(self, spec: StudySpec) -> Row | None:
        """The study's summary if it has a finalist."""
        study = next(study for known, study in self.studies if known == spec)
        summary = summarise(study, spec, self.plan.task.direction)
        return summary if summary["best"] else None

    # -- finals and throughput ---------------------------------------------------------------

    def _finals(self, pool: Pool) -> None:
        rows, _ = records.read(self.records)
        self._record_studies(rows)
        jobs = self._final_jobs(rows)
        if not jobs:
            return
        self.reporter.say(f"finals: {len(jobs)} trainings on fresh seeds")
        # Where they are fewer than the workers, each has several threads.
        threads = max(1, min(self.plan.workers, cores()) // len(jobs))
        jobs = [job | {"threads": threads} for job in jobs]
        tries: dict[tuple[str, int], int] = {}
        for event, job, answer in pool.run(jobs):
            if event == "done":
                self._record([answer])
                if answer["state"] == "diverged":
                    self.reporter.say(f"{answer['family']} seed {answer['seed']} diverged")
            elif event == "died" and job:
                key = (job["spec"]["family"], job["seed"])
                tries[key] = tries.get(key, 0) + 1
                if tries[key] > MAX_RETRIES:
                    raise JobError(f"final of {key[0]}: worker died ({answer['reason']})")
                jobs.append(job)
            else:
                check(event, answer)

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
            before = latest.get(spec.identity)
            if before is None or before["trials"] != summary["trials"]:
                study = next(study for known, study in self.studies if known == spec)
                summary["importance"] = importance(study, spec.make_space())
                row = study_row(spec, self.plan.task, summary, self.plan.device)
                self._record([row | {"started": records.now()}])

    def _final_jobs(self, rows: list[Row]) -> list[Row]:
        done = {
            (row["study"], _config_key(row), row["seed"]) for row in rows if row["role"] == "final"
        }
        jobs = []
        for number in range(self.plan.seeds):
            for spec in self.plan.specs:
                summary, seed = self._best(spec), final_seed(spec, number)
                best = summary and summary["best"]
                if best and (spec.identity, _config_key(best), seed) not in done:
                    job = {"do": "final", "spec": asdict(spec), "best": best, "seed": seed}
                    kept = {"weights": str(self.runs_dir / weights.FOLDER)}
                    jobs.append(job | kept | self._base_job())
        return jobs

    def _speed(self, pool: Pool) -> None:
        rows, _ = records.read(self.records)
        models = self._speed_models(rows)
        if not models:
            return
        self.reporter.say(f"throughput: {len(models)} finalists, in turns on a quiet machine")
        job = {"do": "speed", "models": models, **self._base_job()}
        for event, _, answer in pool.run([job]):
            check(event, answer)
            if event == "done":
                self._record(answer["rows"])

    def _speed_models(self, rows: list[Row]) -> list[Row]:
        """All finalists, if any has not been measured on this hardware; else none. Models that
        are compared are measured in one session."""
        here = provenance(self.plan.device, 1)
        same = ("processor", "torch", "device", "dtype")
        sessions: dict[str, set] = {}
        for row in rows:
            if row["role"] == "speed" and all(row[key] == here[key] for key in same):
                sessions.setdefault(row["session"], set()).add((row["study"], _config_key(row)))
        models = []
        for spec in self.plan.specs:
            summary = self._best(spec)
            if summary:
                models.append({"spec": asdict(spec), "best": summary["best"]})
        wanted = {(StudySpec(**m["spec"]).identity, _config_key(m["best"])) for m in models}
        return [] if any(wanted <= seen for seen in sessions.values()) else models


def _config_key(row: Row) -> str:
    return f"{sorted(row['config'].items())} {row['learning_rate']!r}"
