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
from drnn_bench.system.streams import renews

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from drnn_bench.search.study import StudySpec
    from drnn_bench.search.trial_facts import TrialCounts

EVERY = 60.0  # seconds between two lines
LONGEST = 119  # characters of a line


@dataclass(frozen=True)
class StudyProgress:
    """How far one study is of its `trials`."""

    spec: StudySpec
    counts: TrialCounts
    best: FrozenTrial | None
    trials: int
    direction: str  # of the metric: max or min
    ended: str | None = None  # why before it had them all
    failure: str | None = None  # why the last trial that failed did

    @property
    def left(self) -> int:
        return max(0, self.trials - self.counts.done)


def study_progress(spec: StudySpec, study: optuna.Study, target: int) -> StudyProgress:
    """As the storage has it."""
    trials, ended = study.get_trials(deepcopy=False), study.user_attrs.get("ended")
    direction = "max" if study.direction.name == "MAXIMIZE" else "min"
    return progress_of(spec, trials, direction, target, ended)


def progress_of(
    spec: StudySpec, trials: list[FrozenTrial], direction: str, target: int, ended: str | None
) -> StudyProgress:
    """`ended`: why the search ended before it had `target` trials."""
    from drnn_bench.search.trial_facts import best_trial, count_trials

    reasons = [facts.reason for t in trials if (facts := TrialFacts.of(t)).reason is not None]
    counts, best = count_trials(trials), best_trial(trials, direction)
    reason = reasons[-1] if reasons else None
    return StudyProgress(spec, counts, best, target, direction, ended, reason)


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


def summary(rows: list[StudyProgress], eta: str) -> str:
    """The whole search in a line of at most LONGEST characters: how far it is, and the best value
    of each family at each budget, the best first, as many as there is room for."""
    done, asked = sum(row.counts.done for row in rows), sum(row.trials for row in rows)
    text = ", ".join(filter(None, [f"search {done}/{asked}", eta]))
    budgets = len({row.spec.budget for row in rows}) > 1
    values: dict[str, list[float]] = {}
    for row in rows:
        if row.best is not None and row.best.value is not None:
            name = f"{row.spec.family}@{row.spec.budget:,}" if budgets else row.spec.family
            values.setdefault(name, []).append(row.best.value)
    most = max if rows[0].direction == "max" else min
    best = {name: most(found) for name, found in values.items()}
    ranked = sorted(best, key=best.__getitem__, reverse=most is max)
    for i, name in enumerate(ranked):
        longer = f"{text}{', ' if i else '; best '}{name} {best[name]:.4f}"
        if len(longer) > LONGEST - 2 * (i + 1 < len(ranked)):
            return text + " …"
        text = longer
    return text


class Progress:
    """Shows a search while it runs."""

    def __init__(self, console: Console):
        self.console = console
        self._live: Live | None = None
        self._began, self._done_before = time.monotonic(), 0
        self._line, self._line_at = "", 0.0
        self._failures: list[str] = []  # that were said

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
        eta = self.pace(rows)
        if not renews(self.console):
            self._say(rows, eta)
            return
        if self._live is None:
            self._live = Live(console=self.console, refresh_per_second=4, transient=False)
            self._live.start()
        lines = [rich(line, "dim") for line in failures(rows)]
        self._live.update(Group(table(rows, self.console.width), *lines, rich(eta, "dim")))

    def _say(self, rows: list[StudyProgress], eta: str) -> None:
        """A line at the start, every minute and at the end. The first failure of a search is said
        at once, the others with the next line."""
        over = not sum(row.left for row in rows)
        due = over or time.monotonic() - self._line_at > EVERY
        failed = failures(rows)
        if due or (failed and not self._failures):
            for line in failed:
                if line not in self._failures:
                    self._print(line)
            self._failures = failed
        line = summary(rows, "" if over else eta)
        if due and line != self._line:
            self._print(line)
            self._line, self._line_at = line, time.monotonic()

    def _print(self, line: str) -> None:
        self.console.print(plain(line), highlight=False, soft_wrap=True, markup=False)

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
