"""`bench status`: how the searches of a storage stand, running or not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from drnn_bench.database import TrialLock, answering
from drnn_bench.progress import Standing, standing
from drnn_bench.search import bury_the_dead, release
from drnn_bench.storage import open_storage
from drnn_bench.studies import studies_of
from drnn_bench.supervise import at_work


@dataclass(frozen=True)
class Status:
    rows: list[Standing]
    trials_per_hour: float  # over the last hour, or since its first trial began
    notes: tuple[str, ...] = ()  # on searches that cannot be read

    @property
    def hours_left(self) -> float | None:
        left = sum(row.left for row in self.rows)
        return left / self.trials_per_hour if self.trials_per_hour else None


def status(url: str) -> Status:
    """Every search of a storage. Trials found running whose worker is gone are queued again.

    Raises JobError where the database does not answer.
    """
    with answering(url), at_work(url) as (_, alone):
        storage = open_storage(url, create=False)
        notes: list[str] = []
        lock, found = TrialLock(storage), studies_of(storage, notes.append)
        for _, study in found:
            if alone:
                release(study, lock)
            else:
                with lock.hold():
                    bury_the_dead(study, {})
        rows = [standing(spec, study, study.user_attrs["trials"]) for spec, study in found]
        trials = [trial for _, study in found for trial in study.get_trials(deepcopy=False)]
    return Status(rows, _per_hour(trials, datetime.now()), tuple(notes))


def _per_hour(trials: list[FrozenTrial], now: datetime) -> float:
    recent = [
        trial
        for trial in trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and "infeasible" not in trial.user_attrs
        and trial.datetime_complete > now - timedelta(hours=1)
    ]
    if not recent:
        return 0.0
    began = max(min(trial.datetime_start for trial in recent), now - timedelta(hours=1))
    return len(recent) / max((now - began).total_seconds() / 3600, 1e-3)


def state(row: Standing) -> str:
    if not row.left or row.ended:
        return "finished"
    return "running" if row.tally.running else "stopped"


def facts(row: Standing) -> dict[str, Any]:
    """A standing as JSON values."""
    return {
        "task": row.spec.task,
        "family": row.spec.family,
        "budget": row.spec.budget,
        "study": row.spec.identity,
        "state": state(row),
        "trials": row.trials,
        "done": row.tally.done,
        **row.tally.counts,
        "running": row.tally.running,
        "waiting": row.tally.waiting,
        "best": row.best and row.best.value,
        "architecture": row.best and row.best.user_attrs["architecture"],
    }
