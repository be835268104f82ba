"""How far a search is: a table at a terminal, a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from drnn_bench.search.trial_facts import TrialFacts
from drnn_bench.system.escape import plain, rich

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from drnn_bench.search.study import StudySpec
    from drnn_bench.search.trial_facts import TrialCounts

EVERY = 5.0  # seconds between two lines


@dataclass(frozen=True)
class StudyProgress:
    """How far one study is of its `trials`."""

    spec: StudySpec
    counts: TrialCounts
    best: FrozenTrial | None
    trials: int
    ended: str | None = None  # why before it had them all
    failure: str | None = None  # why the last trial that failed did

    @property
    def left(self) -> int:
        return max(0, self.trials - self.counts.done)


def study_progress(spec: StudySpec, study: optuna.Study, target: int) -> StudyProgress:
    from drnn_bench.search.trial_facts import best_trial, count_trials

    trials = study.get_trials(deepcopy=False)
    direction = "max" if study.direction.name == "MAXIMIZE" else "min"
    ended = study.user_attrs.get("ended")
    reasons = [facts.reason for t in trials if (facts := TrialFacts.of(t)).reason is not None]
    counts, best = count_trials(trials), best_trial(trials, direction)
    return StudyProgress(spec, counts, best, target, ended, reasons[-1] if reasons else None)


def several_seeds(specs: Sequence[StudySpec]) -> bool:
    """Whether a family is searched several times, so that a search's seed must be shown."""
    return len({spec.seed for spec in specs}) > 1


def table(rows: list[StudyProgress], width: int) -> Table:
    """One line a study; the architecture takes what the other columns leave of `width`."""
    # Most searches have none of the last two, and a terminal of 80 columns has no room for zeros.
    counted = [
        "pruned",
        *(k for k in ("diverged", "failed") if any(getattr(r.counts, k) for r in rows)),
    ]
    seeds = several_seeds([row.spec for row in rows])
    titles = ["family", "budget", *["seed"] * seeds, "done", *counted, "best"]
    cells = [
        [
            row.spec.family,
            f"{row.spec.budget:,}",
            *[f"{row.spec.seed}"] * seeds,
            f"{row.counts.done}/{row.trials}",
            *(f"{getattr(row.counts, name)}" for name in counted),
            f"{row.best.value:.4f}" if row.best else "–",
        ]
        for row in rows
    ]
    drawn = Table(box=box.SIMPLE_HEAD)
    for title in titles:
        drawn.add_column(title, justify="left" if title == "family" else "right", no_wrap=True)
    taken = sum(max(map(len, column)) + 3 for column in zip(titles, *cells, strict=True))
    rest = max(12, width - taken - 4)
    drawn.add_column("architecture", no_wrap=True, overflow="ellipsis", max_width=rest)
    for row, line in zip(rows, cells, strict=True):
        architecture = TrialFacts.of(row.best).architecture if row.best else ""
        drawn.add_row(*map(rich, (*line, architecture)))
    return drawn


def failures(rows: list[StudyProgress]) -> list[str]:
    """A line on each study that has failed trials: why the last one did."""
    return [
        f"{row.spec.family} at {row.spec.budget:,}: {row.counts.failed} failed, the last: "
        f"{row.failure}"
        for row in rows
        if row.counts.failed and row.failure
    ]


class Progress:
    """Shows a search while it runs."""

    def __init__(self, console: Console):
        self.console = console
        self._live: Live | None = None
        self._began, self._done_before = time.monotonic(), 0
        self._line, self._line_at = "", 0.0

    def begin(self, done: int) -> None:
        """Starts the clock; `done` trials were complete before."""
        self._began, self._done_before = time.monotonic(), done

    def pace(self, rows: list[StudyProgress]) -> str:
        """How fast the search is and how long it still takes; empty where nothing is known yet."""
        done, left = sum(row.counts.done for row in rows), sum(row.left for row in rows)
        elapsed = time.monotonic() - self._began
        pace = (done - self._done_before) / elapsed if elapsed > 0 else 0.0
        return f"{3600 * pace:,.0f} trials/h, {duration(left / pace)} left" if pace > 0 else ""

    def show(self, rows: list[StudyProgress]) -> None:
        done, left = sum(row.counts.done for row in rows), sum(row.left for row in rows)
        eta = self.pace(rows)
        if not self.console.is_terminal:
            seeds = several_seeds([row.spec for row in rows])
            line = "; ".join(_words(row, seeds) for row in rows)
            if line != self._line and (time.monotonic() - self._line_at > EVERY or not left):
                asked = sum(row.trials for row in rows)
                text = f"search {done}/{asked}: {line}; {eta}".rstrip("; ")
                self.console.print(plain(text), highlight=False, soft_wrap=True, markup=False)
                self._line, self._line_at = line, time.monotonic()
            return
        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=4, transient=False)
            self._live.start()
        lines = [rich(line, "dim") for line in failures(rows)]
        self._live.update(Group(table(rows, self.console.width), *lines, rich(eta, "dim")))

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _words(row: StudyProgress, with_seed: bool) -> str:
    seed = f" seed {row.spec.seed}" if with_seed else ""
    text = f"{row.spec.family}@{row.spec.budget}{seed} {row.counts.done}/{row.trials}"
    counted = ("pruned", "diverged", "failed")
    notes = [f"{getattr(row.counts, k)} {k}" for k in counted if getattr(row.counts, k)]
    if row.counts.failed and row.failure:
        notes.append(f"the last failure: {row.failure}")
    if row.best:
        notes.append(f"best {row.best.value:.4f}, {TrialFacts.of(row.best).architecture}")
    return f"{text} ({', '.join(notes)})" if notes else text


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
