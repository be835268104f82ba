"""What a plan still owes after its searches, computed from the rows that are recorded."""

from __future__ import annotations

from typing import Any

from drnn_bench.jobs.finals import FinalJob, final_seed
from drnn_bench.jobs.plan import Plan
from drnn_bench.results.ranking import rank_rows
from drnn_bench.search.study import StudySpec
from drnn_bench.system.provenance import provenance

Row = dict[str, Any]
Finalist = tuple[StudySpec, Row]  # a study and its best trial
HARDWARE = ("processor", "torch", "device", "dtype")  # speeds of one are compared


def finals_owed(plan: Plan, finalists: list[Finalist], rows: list[Row]) -> list[FinalJob]:
    """A job for each finalist and seed that has no row but that of a failure, the first seed of all
    finalists first."""
    done = {
        (*_net(row["study"], row), row["seed"])
        for row in rows
        if row["role"] == "final" and row["state"] != "failed"
    }
    return [
        FinalJob(spec=spec, best=best, seed=seed, device=plan.trial_device)
        for number in range(plan.seeds)
        for spec, best in finalists
        if (*_net(spec.digest, best), seed := final_seed(spec, number)) not in done
    ]


def speeds_owed(plan: Plan, finalists: list[Finalist], rows: list[Row]) -> tuple[Finalist, ...]:
    """The finalists that a board shows, if no session on this hardware has measured them all; else
    none. Models that are compared are measured in one session."""
    shown = {line.study for group in rank_rows(rows) for line in group.lines}
    finalists = [(spec, best) for spec, best in finalists if spec.digest in shown]
    here = provenance(plan.device, 1)
    sessions: dict[str, set] = {}
    for row in rows:
        if row["role"] == "speed" and all(row[key] == here[key] for key in HARDWARE):
            sessions.setdefault(row["session"], set()).add(_net(row["study"], row))
    nets = {_net(spec.digest, best) for spec, best in finalists}
    return () if any(nets <= measured for measured in sessions.values()) else tuple(finalists)


def _net(study: str, row: Row) -> tuple[str, str]:
    """What tells two trained nets apart, but for their seed."""
    return study, f"{sorted(row['config'].items())} {row['learning_rate']!r}"
