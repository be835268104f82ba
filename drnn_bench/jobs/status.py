"""`bench status`: how far the searches of a storage are, running or not. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from optuna.trial import FrozenTrial

from drnn_bench.jobs.progress import StudyProgress, study_progress
from drnn_bench.search.database import answering
from drnn_bench.search.lock import drivers_at_work
from drnn_bench.search.storage import open_storage
from drnn_bench.search.study import studies_of
from drnn_bench.search.trial_facts import TrialFacts, fills_place


@dataclass(frozen=True)
class Status:
    rows: Sequence[StudyProgress] = ()
    driven: Collection[str] = ()  # the studies that a driver is at work on, by digest
    trials_per_hour: float = 0.0  # over the last hour, or since its first trial began
    notes: tuple[str, ...] = ()  # on searches that cannot be read

    @property
    def hours_left(self) -> float | None:
        left = sum(row.left for row in self.rows)
        return left / self.trials_per_hour if self.trials_per_hour else None

    @property
    def running(self) -> int:
        """Trials that are running now. What a dead driver left behind does not count."""
        return sum(row.counts.running for row in self.rows if row.spec.digest in self.driven)

    def state(self, row: StudyProgress) -> str:
        if not row.left or row.ended:
            return "finished"
        return "running" if row.spec.digest in self.driven else "stopped"

    def facts(self, row: StudyProgress) -> dict[str, Any]:
        """A study's progress as JSON values."""
        driven = row.spec.digest in self.driven
        return {
            "task": row.spec.task,
            "family": row.spec.family,
            "budget": row.spec.budget,
            "study": row.spec.digest,
            "state": self.state(row),
            "trials": row.trials,
            "done": row.counts.done,
            **row.counts.counts,
            "running": row.counts.running if driven else 0,
            "waiting": row.counts.waiting + (0 if driven else row.counts.running),
            "best": row.best and row.best.value,
            "architecture": row.best and TrialFacts.of(row.best).architecture,
        }


def status(url: str) -> Status:
    """How far every search of a storage is. Raises JobError where the database does not answer."""
    notes: list[str] = []
    with answering(url):
        pairs = studies_of(open_storage(url, create=False), notes.append)
        rows = [study_progress(spec, study, study.user_attrs["trials"]) for spec, study in pairs]
        trials = [trial for _, study in pairs for trial in study.get_trials(deepcopy=False)]
        driven = drivers_at_work(url, [spec.digest for spec, _ in pairs])
    return Status(rows, driven, _per_hour(trials, datetime.now()), tuple(notes))


def _per_hour(trials: list[FrozenTrial], now: datetime) -> float:
    hour_ago = now - timedelta(hours=1)
    starts = [
        trial.datetime_start
        for trial in trials
        if fills_place(trial) and trial.datetime_start and trial.datetime_complete
        if trial.datetime_complete > hour_ago
    ]
    if not starts:
        return 0.0
    began = max(min(starts), hour_ago)
    return len(starts) / max((now - began).total_seconds() / 3600, 1e-3)
