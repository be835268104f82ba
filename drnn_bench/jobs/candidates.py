"""The candidates of a plan's searches: trained again on fresh seeds, and one of each chosen."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from drnn_bench.models.budget import count_parameters
from drnn_bench.models.registry import restore_architecture
from drnn_bench.results import records
from drnn_bench.results.speeds import same_net
from drnn_bench.search.candidates import SEEDS, candidate_seed, choose
from drnn_bench.search.study import StudySpec
from drnn_bench.search.summary import describe_run
from drnn_bench.search.trial import TrialJob
from drnn_bench.system.provenance import provenance
from drnn_bench.tasks.prepared import Prepared
from drnn_bench.tasks.task import Task

Row = dict[str, Any]
Summary = tuple[StudySpec, optuna.Study, Row]  # the row part is `summarise`'s


@dataclass(frozen=True, kw_only=True)
class CandidateJob:
    """Trains one candidate on one seed. Yields evaluations and returns its row."""

    spec: StudySpec
    candidate: Row  # as `summarise` gives it
    seed: int
    device: str
    resume: bytes | None = None

    @property
    def training(self) -> TrialJob:
        return TrialJob(
            spec=self.spec,
            config=self.candidate["config"],
            learning_rate=self.candidate["learning_rate"],
            seed=self.seed,
            device=self.device,
            resume=self.resume,
        )

    @property
    def name(self) -> str:
        """What names it in its runs folder."""
        return self.training.name

    def run(self, prepared: Prepared) -> Generator[Any, None, Row]:
        started = records.now()
        outcome = yield from self.training.run(prepared)
        identity = describe_run(self.spec, prepared, self.candidate) | {
            "seed": self.seed,
            "state": "diverged" if "diverged" in outcome else "complete",
        }
        return records.make_row(
            "candidate",
            identity,
            validation=outcome.get("validation"),
            train_seconds=round(outcome["seconds"], 3),
            started=started,
            **provenance(self.device, 1),
        )


def candidates_owed(
    summaries: Sequence[Summary], rows: Sequence[Row], device: str
) -> list[CandidateJob]:
    """A job for each candidate and seed that has no row, the first seed of all candidates first.
    A search of one candidate owes none: there is nothing to choose."""
    return [
        CandidateJob(spec=spec, candidate=candidate, seed=seed, device=device)
        for number in range(SEEDS)
        for spec, _, summary in summaries
        for candidate in (summary["candidates"] if len(summary["candidates"]) > 1 else [])
        for seed in [candidate_seed(spec, number)]
        if not any(row["seed"] == seed for row in _rows_of(spec, candidate, rows))
    ]


def with_finalists(summaries: Sequence[Summary], rows: Sequence[Row], task: Task) -> list[Summary]:
    """The summaries of the searches that have a finalist, with it as their `best`. What its
    candidates reached is in `candidates`; their seconds of training are `candidate_seconds`."""
    found = []
    for spec, study, summary in summaries:
        if not summary["candidates"]:
            continue
        candidates, seconds, parameters = [], 0.0, []
        for candidate in summary["candidates"]:
            first: dict[int, Row] = {}
            for row in _rows_of(spec, candidate, rows):
                first.setdefault(row["seed"], row)
            candidates.append(candidate | {"again": [r["validation"] for r in first.values()]})
            seconds += sum(row["train_seconds"] for row in first.values())
            parameters.append(
                count_parameters(restore_architecture(task, spec.family, candidate["config"]))
            )
        again = [candidate["again"] for candidate in candidates]
        chosen = choose(again, parameters, task.direction) if all(again) else 0
        chosen_facts = {
            "best": summary["candidates"][chosen],
            "candidates": candidates if len(candidates) > 1 else [],
            "candidate_seconds": round(seconds, 1),
        }
        found.append((spec, study, summary | chosen_facts))
    return found


def _rows_of(spec: StudySpec, candidate: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows of a candidate's trainings."""
    return [
        row
        for row in rows
        if row["role"] == "candidate"
        and row["study"] == spec.digest
        and same_net(row, candidate["config"], candidate["learning_rate"])
    ]
