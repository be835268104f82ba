"""Searches that never ran, and the rows that the harness would write about them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Any

import optuna

from drnn_bench.jobs.progress import StudyProgress
from drnn_bench.models.registry import make_architecture
from drnn_bench.results import records
from drnn_bench.results.board_line import as_records
from drnn_bench.results.outcomes import pack
from drnn_bench.results.ranking import rank_rows
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.space_file import default_path, read_space
from drnn_bench.search.study import StudySpec
from drnn_bench.search.summary import describe_run, study_row
from drnn_bench.search.trial_facts import count_trials
from drnn_bench.system.provenance import provenance
from drnn_bench.tasks.registry import parse_task
from drnn_bench.tasks.task import Task

Row = dict[str, Any]

HERE = {**provenance("cpu", 1), "processor": "Processor A, 4 cores"}
_clock = itertools.count()


def started() -> str:
    """A later moment at every call."""
    seconds = next(_clock)
    return f"2026-01-{1 + seconds // 3600:02}T00:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


@dataclass(frozen=True)
class Known:
    """A task, and what its data says of it."""

    task: Task

    @property
    def guessing(self) -> float:
        return math.log(8) if self.task.name == "copy_memory" else 0.1


@dataclass(frozen=True)
class Searched:
    """A study and its best net, and the rows that the harness would write about them."""

    spec: StudySpec
    best: Row
    complete: int = 3

    def study(self, **changes: Any) -> Row:
        summary = {
            "trials": {
                "complete": self.complete, "pruned": 2, "diverged": 1, "failed": 0,
                "infeasible": 0, "duplicate": 0,
            },
            "best": self.best,
            "startup_mean": 0.4,
            "startup_n": 2,
            "search_seconds": 12.5,
            "complete": [],
            "candidates": [],
            "candidate_seconds": 0.0,
            "history": [],
            "importance": None,
            "ended": None,
        }  # fmt: skip
        row = study_row(self.spec, Known(self.task), summary, "cpu")
        return row | {"started": started(), **changes}

    def final(self, seed: int, test: float | None, **changes: Any) -> Row:
        """One seed's row; `test` None: it diverged."""
        outcome: Row = {"validation": None, "test": None, "state": "diverged", "reason": "nan"}
        if test is not None:
            outcome = {
                "state": "complete", "validation": test, "test": test, "test_accuracy": 0.5,
                "test_cross_entropy": 1.0, "test_size": 360, "best_step": 90, "curve": [[90, test]],
                "train_seconds": 1.5, "weights": "0" * 64,
                "outcomes": pack([test if math.isfinite(test) else 0.0] * 360),
            }  # fmt: skip
        row = describe_run(self.spec, Known(self.task), self.best) | {"seed": seed} | outcome
        return records.make_row(
            "final", row, **HERE, started=started(), kernels="fused", peak_memory_mb=100.0
        ) | changes  # fmt: skip

    def finals(self, *tests: float | None) -> list[Row]:
        return [self.final(seed, test) for seed, test in enumerate(tests)]

    def speed(self, per_s: float, *, session: str = "s1", threads: int = 1, **changes: Any) -> Row:
        row = describe_run(self.spec, Known(self.task), self.best)
        row |= {"seed": 0, "state": "complete"}
        rates = {
            f"{what}_per_s{end}": factor * per_s
            for what, factor in (("train", 1.0), ("infer", 3.0))
            for end in ("", "_low", "_high")
        }
        times = {f"{what}{end}": 1.0 / per_s for what in ("latency_ms", "stream_us")
                 for end in ("", "_low", "_high")}  # fmt: skip
        measured = {"batch_size": 128, "length": 64, "machine": "idle", "repeats": [30] * 4,
                    "kernels": "torch", "peak_memory_mb": 50.0, **rates, **times}  # fmt: skip
        where = HERE | {"threads": threads}
        return records.make_row(
            "speed", row, session=session, **measured, **where, started=started()
        ) | changes  # fmt: skip

    @property
    def task(self):
        return parse_task(self.spec.task)

    def with_best(self, **changes: Any) -> Searched:
        """The same study, another best net."""
        return dataclasses.replace(self, best=self.best | changes)


def searched(
    family: str = "lstm",
    *,
    task: str = "pixel_digits",
    version: int = 1,
    data_hash: str = "0123456789abcdef",
    budget: int = 1000,
    steps: int = 100,
    seed: int = 0,
    width: int = 8,
    value: float = 0.5,
    sampler: str = "tpe",
    **options: Any,
) -> Searched:
    kind = parse_task(task)
    sizes = {"input_size": kind.input_size, "output_size": kind.output_size}
    net = make_architecture(family, **sizes, width=width, **options)
    spec = StudySpec(
        task=kind.key, task_version=version, data_hash=data_hash, family=family, budget=budget,
        steps=steps, recipe=Recipe().table, sampler=sampler, pruner="asha",
        space=read_space(default_path(family)).table, seed=seed,
    )  # fmt: skip
    best = {
        "index": 1, "value": value, "config": net.config, "learning_rate": 1e-2, "on_edge": [],
    }  # fmt: skip
    return Searched(spec, best)


GOOD, FAIR, POOR = (0.95, 0.951, 0.952), (0.80, 0.801, 0.802), (0.60, 0.601, 0.602)


def three() -> tuple[list[list[Row]], list[str]]:
    """Rows of three families that differ surely, a list a family; and the order they rank in."""
    cnn, lstm, rnn = searched("dilated_cnn", depth=2), searched("lstm"), searched("dilated_rnn")
    rows = [
        [lstm.study(), *lstm.finals(*FAIR), lstm.speed(100.0)],
        [cnn.study(), *cnn.finals(*POOR), cnn.speed(250.0)],
        [rnn.study(), *rnn.finals(*GOOD), rnn.speed(40.0)],
    ]
    return rows, ["dilated_rnn", "lstm", "dilated_cnn"]


def flat(lists: list[list[Row]]) -> list[Row]:
    return [row for rows in lists for row in rows]


def lines(rows: list[Row]) -> list[Row]:
    return as_records(rank_rows(rows))


def line(rows: list[Row], family: str = "lstm") -> Row:
    [found] = [x for x in lines(rows) if x["family"] == family]
    return found


def at_random(one: Searched, seed: int = 0) -> Searched:
    """The same search by random draws without a pruner."""
    spec = dataclasses.replace(one.spec, sampler="random", pruner="none", seed=seed)
    return dataclasses.replace(one, spec=spec)


def one_of_each(one: Searched, tests: tuple[float, ...], per_s: float) -> list[Row]:
    return [one.study(), *one.finals(*tests), one.speed(per_s)]


OTHER_MACHINE = {"processor": "Processor B, 64 cores"}


def on_two_machines(rows: list[list[Row]], family: str) -> list[Row]:
    """The same rows, one family timed on another machine than the rest."""
    return [
        row | OTHER_MACHINE if (row["role"], row["family"]) == ("speed", family) else row
        for row in flat(rows)
    ]


def different_studies() -> list[list[Row]]:
    """Rows of several studies in several groups, with ties."""
    twin = searched("lstm", sampler="qmc")
    mnist = searched("lstm", task="pixel_mnist")
    wide = searched("dilated_rnn", budget=2000, width=12)
    return [
        *three()[0],
        [twin.study(), *twin.finals(*FAIR), twin.speed(101.0, session="s2")],
        [mnist.study(), *mnist.finals(*FAIR)],
        [wide.study(), *wide.finals(0.5, 0.7)],
        [searched("clockwork_rnn", modules=2, value=0.3).study()],
        [searched("clockwork_rnn", modules=3, value=0.4, sampler="qmc").study()],
    ]


def study_progress(
    family: str = "lstm", value: float | None = None, *, budget: int = 5000, done: int = 0,
    failure: str | None = None, **changes: Any,
) -> StudyProgress:  # fmt: skip
    """A study of which so many trials are done."""
    spec = dataclasses.replace(searched(family).spec, budget=budget)
    counts = dataclasses.replace(count_trials([]), complete=done, failed=int(failure is not None))
    best = None if value is None else optuna.trial.create_trial(value=value)
    fields = {"trials": 24, "direction": "max", "failure": failure} | changes
    return StudyProgress(spec, counts, best, **fields)
