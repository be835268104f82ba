"""The driver of a search: it alone asks Optuna for trials and tells it what came out.

    while a trainer is free and a study owes a trial: ask, start
    for everything that trainers answer: report, then advance, drop or tell

What is owed is computed from the storage, so the same command continues whoever has died.
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
from drnn_bench.execution.job import (
    Event,
    Executor,
    Failed,
    Lost,
    Note,
    Returned,
    Yielded,
)
from drnn_bench.search.ask import Asked, DrivenStudy, ask
from drnn_bench.search.storage import PatientStorage
from drnn_bench.training.snapshots import Snapshots

ALIKE = 5  # so many trials in a row that failed of one cause end the run
DEATHS = 50  # so many trainers that died, with no answer of any between, do too
TICK = 0.5  # seconds
# A trial may take so many seconds, and so many times the longest of its study, before it counts as
# hanging: architectures of one family differ twentyfold in speed.
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
        self.running: dict[int, Asked] = {}  # by ticket
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
                for ticket, event in self.executor.wait(TICK):
                    self._take(ticket, event)
                # Less where this process was stopped meanwhile, or waited for the storage.
                self._end_what_hangs(min(time.monotonic() - began, 2 * TICK))
                tick()
        finally:
            self.running.clear()
            self.storage.try_once(self._fail_orphans)

    def _fail_orphans(self) -> None:
        """Fails the trials that nobody runs: of a driver that died, or of an answer that was
        lost. Their places are open again."""
        known = {asked.trial._trial_id for asked in self.running.values()}
        for each in self.studies:
            each.changed = True
            for trial in each.trials(TrialState.RUNNING):
                if trial._trial_id not in known:
                    each.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)

    def _start(self) -> bool:
        """Gives trials to all free trainers, the studies in turn. Whether there is anything to
        wait for."""
        while owing := self.storage.do(self._owing):
            if not self.executor.free:
                return True
            study = min(owing, key=lambda each: each.far)
            asked = self.storage.do(lambda study=study: ask(study))
            if asked is not None:
                kept = self.snapshots.read(asked.job.name)
                ticket = self.executor.start(replace(asked.job, resume=kept))
                self.running[ticket] = asked
        return bool(self.running)

    def _owing(self) -> list[DrivenStudy]:
        for each in self.studies:
            each.look(self.trials)
        return [each for each in self.studies if each.owed is not None]

    def _take(self, ticket: int, event: Event) -> None:
        asked = self.running[ticket]
        if not isinstance(event, Lost):
            self._deaths = 0
        match event:
            case Yielded(Note(line)):
                self.say(line)
                self.executor.advance(ticket)
            case Yielded(evaluation):
                self._evaluated(ticket, asked, evaluation)
            case Returned({"diverged": why, "seconds": seconds}):
                self._tell(ticket, TrialState.PRUNED, diverged=why, seconds=seconds)
            case Returned({"validation": value, "seconds": seconds}):
                self._tell(ticket, TrialState.COMPLETE, value, seconds=seconds)
                asked.study.took(seconds)
            case Failed(reason, final=True):
                raise JobError(reason)  # the trial stays owed
            case Failed(reason, known=known):
                # What is known is that there is no memory for this draw.
                outcome = {"reason": reason, "again": not known, "seconds": asked.trained}
                self._tell(ticket, TrialState.FAIL, **outcome)
                self._count_failure(asked, reason)
            case Lost(reason):
                self.say(f"a trainer died ({reason}); its trial runs again")
                self._tell(ticket, TrialState.FAIL, lost=reason, seconds=asked.trained)
                self._deaths += 1
                if self._deaths >= DEATHS:
                    raise JobError(f"{DEATHS} trainers died in a row; the last: {reason}")

    def _evaluated(self, ticket: int, asked: Asked, evaluation: Any) -> None:
        """Reports an evaluation, and lets the trial go on or stops it."""
        asked.trained = evaluation.seconds
        if evaluation.snapshot is not None:
            self.snapshots.write(asked.job.name, evaluation.snapshot)

        asked.study.study.pruner.standard_error = evaluation.standard_error

        def report() -> bool:
            asked.trial.report(evaluation.value, evaluation.number)
            # It takes note of the value too, so it is asked for every trial.
            return asked.trial.should_prune()

        pruned = self.storage.do(report) and not asked.spared
        if pruned and evaluation.number < asked.study.last_evaluation:
            self.executor.drop(ticket)
            self._tell(ticket, TrialState.PRUNED, seconds=evaluation.seconds)
        else:
            self.executor.advance(ticket)

    def _tell(
        self, ticket: int, state: TrialState, value: float | None = None, **outcome: Any
    ) -> None:
        """Ends a trial. `outcome`: what its state does not say."""
        asked = self.running[ticket]

        def tell() -> None:
            # Where an answer was lost, it may have ended already.
            with contextlib.suppress(UpdateFinishedTrialError):
                asked.trial.set_user_attr("outcome", outcome)
            asked.study.study.tell(asked.trial.number, value, state, skip_if_finished=True)

        self.storage.do(tell)
        del self.running[ticket]
        asked.study.changed = True
        if state != TrialState.FAIL:
            self._alike.clear()
            self.snapshots.remove(asked.job.name)

    def _count_failure(self, asked: Asked, reason: str) -> None:
        times = self._alike[reason] + 1
        self._alike = Counter({reason: times})
        self.say(f"{asked.study.spec.family}: a trial failed ({reason})")
        if times >= ALIKE:
            raise JobError(f"{times} trials in a row failed of one cause: {reason}")

    def _end_what_hangs(self, passed: float) -> None:
        for ticket, asked in self.running.items():
            asked.waited += passed
            longest = asked.study.longest
            if longest is not None and asked.waited > LEAST + TIMES * longest:
                why = f"hanging: {asked.waited:.0f} s, the longest took {longest:.0f} s"
                asked.waited = 0.0
                self.executor.end(ticket, why)
