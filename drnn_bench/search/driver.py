"""The driver of a search: it alone asks Optuna for trials and tells it what came out.

    while a trainer is free and a study owes a trial: ask, start
    for everything that trainers answer: report, then advance, drop or tell

What is owed is computed from the storage, so the same command continues after any process died.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from drnn_bench.errors import JobError
from drnn_bench.execution.carry import TICK, events
from drnn_bench.execution.job import Event, Executor, Failed, Lost, Returned, Yielded
from drnn_bench.search.ask import DrivenStudy, RunningTrial, ask
from drnn_bench.search.storage import PatientStorage
from drnn_bench.training.snapshots import Snapshots

ALIKE = 5  # trials that fail one after the other for one reason; then the run ends
DEATHS = 50  # trainers that die one after the other, without an answer between; then the run ends
# A trial hangs when it takes more than LEAST seconds and TIMES times the longest of its study
# together: architectures of one family differ twentyfold in speed.
LEAST, TIMES = 600.0, 20.0


class Driver:
    """Drives some studies of one task until each has its trials."""

    def __init__(
        self,
        storage: PatientStorage,
        studies: Sequence[DrivenStudy],
        trials: int,
        executor: Executor,
        snapshots: Snapshots,
        say: Callable[[str], None] = lambda line: None,
    ):
        self.storage, self.studies, self.trials = storage, studies, trials
        self.executor, self.snapshots, self.say = executor, snapshots, say
        self.running: dict[int, RunningTrial] = {}  # by ticket
        self._alike: Counter[str] = Counter()  # trials that failed in a row, by cause
        self._deaths = 0
        storage.recover = self._fail_orphans

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Returns when every study has its trials. `tick` is called at least every half a second
        and may raise. However it ends, what was running is owed again."""
        self.storage.do(self._fail_orphans)
        try:
            while self._start():
                began = time.monotonic()
                for ticket, event in events(self.executor, self.say):
                    self._take(ticket, event)
                # Less where this process was stopped meanwhile, or waited for the storage.
                self._end_what_hangs(min(time.monotonic() - began, 2 * TICK))
                tick()
        finally:
            self.running.clear()
            self.storage.try_once(self._fail_orphans)

    def _fail_orphans(self) -> None:
        """Fails the trials that no trainer has, because a driver died or an answer of the storage
        was lost. Their places are open again."""
        running = {one.trial._trial_id for one in self.running.values()}
        for study in self.studies:
            study.certain = False
            for trial in study.trials(TrialState.RUNNING):
                if trial._trial_id not in running:
                    study.tell(trial, TrialState.FAIL)

    def _start(self) -> bool:
        """Gives a trial to each free trainer, the studies in turn. Returns whether there is
        anything to wait for."""
        while self.executor.free:
            owing = self.storage.do(self._owing)
            if not owing:
                return bool(self.running)
            study = min(owing, key=lambda study: study.filled)
            started = self.storage.do(lambda study=study: ask(study))
            if started is not None:
                snapshot = self.snapshots.read(started.job.name)
                ticket = self.executor.start(replace(started.job, resume=snapshot))
                self.running[ticket] = started
        # Without a trainer, as while a cluster starts, there is something to wait for if one is
        # owed.
        return bool(self.running or self.storage.do(self._owing))

    def _owing(self) -> list[DrivenStudy]:
        return [study for study in self.studies if study.owes(self.trials)]

    def _take(self, ticket: int, event: Event) -> None:
        running = self.running[ticket]
        self._deaths = self._deaths + 1 if isinstance(event, Lost) else 0
        match event:
            case Yielded(evaluation):
                self._report(ticket, running, evaluation)
            case Returned({"diverged": why, "seconds": seconds}):
                self._tell(ticket, TrialState.PRUNED, diverged=why, seconds=seconds)
            case Returned({"validation": value, "seconds": seconds}):
                self._tell(ticket, TrialState.COMPLETE, value, seconds=seconds)
                running.study.note_seconds(seconds)
            case Failed(reason, final=True):
                raise JobError(reason)  # the trial stays owed
            case Failed(reason, known=known):
                # What is known is that there is no memory for this draw.
                outcome = {"reason": reason, "again": not known, "seconds": running.trained}
                self._tell(ticket, TrialState.FAIL, **outcome)
                self._alike = Counter({reason: self._alike[reason] + 1})
                self.say(f"{running.study.spec.family}: a trial failed ({reason})")
                if self._alike[reason] >= ALIKE:
                    raise JobError(f"{ALIKE} trials in a row failed of one cause: {reason}")
            case Lost(reason):
                self._tell(ticket, TrialState.FAIL, lost=reason, seconds=running.trained)
                if self._deaths >= DEATHS:
                    raise JobError(f"{DEATHS} trainers died in a row; the last: {reason}")

    def _report(self, ticket: int, running: RunningTrial, evaluation: Any) -> None:
        """Reports an evaluation to Optuna. Then the trial goes on or is pruned."""
        running.trained = evaluation.seconds
        if evaluation.snapshot is not None:
            self.snapshots.write(running.job.name, evaluation.snapshot)
        running.study.pruner.standard_error = evaluation.standard_error

        def report() -> bool:
            running.trial.report(evaluation.value, evaluation.number)
            return running.trial.should_prune()

        pruned = self.storage.do(report) and running.prunable
        if pruned and evaluation.number < running.study.last_evaluation:
            self.executor.drop(ticket)
            self._tell(ticket, TrialState.PRUNED, seconds=evaluation.seconds)
        else:
            self.executor.advance(ticket)

    def _tell(
        self, ticket: int, state: TrialState, value: float | None = None, **outcome: Any
    ) -> None:
        """Ends a trial in the storage, with `outcome` among its attributes."""
        running = self.running[ticket]

        def tell() -> None:
            # After an answer of the storage was lost, the trial may have ended already.
            with contextlib.suppress(UpdateFinishedTrialError):
                running.trial.set_user_attr("outcome", outcome)
            running.study.tell(running.trial, state, value)

        self.storage.do(tell)
        del self.running[ticket]
        if state != TrialState.FAIL:
            self._alike.clear()
            self.snapshots.remove(running.job.name)

    def _end_what_hangs(self, passed: float) -> None:
        for ticket, running in self.running.items():
            running.waited += passed
            longest = running.study.longest
            if longest is not None and running.waited > LEAST + TIMES * longest:
                why = f"hanging: {running.waited:.0f} s, the longest took {longest:.0f} s"
                running.waited = 0.0
                self.executor.end(ticket, why)
