"""What a search came to, and the part of a row that says what was run."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import datetime
from statistics import fmean
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnn_bench.metrics.names import METRICS
from drnn_bench.models.budget import count_parameters
from drnn_bench.models.cost import cost
from drnn_bench.models.mrl import mean_recurrent_length, path_length, reach
from drnn_bench.models.registry import restore_architecture
from drnn_bench.results import records
from drnn_bench.results.codec import to_json
from drnn_bench.results.recipe import Recipe
from drnn_bench.search.candidates import candidate_trials
from drnn_bench.search.space import SearchSpace
from drnn_bench.search.study import StudySpec
from drnn_bench.search.trial_facts import (
    TrialFacts,
    count_trials,
    fills_place,
    place_of,
)
from drnn_bench.system.provenance import provenance
from drnn_bench.tasks.prepared import TaskFacts

POINTS = 32  # of a trial's curve, at most


def describe_run(spec: StudySpec, data: TaskFacts, best: dict[str, Any]) -> dict[str, Any]:
    """The part of a row that says what was run; `best` is a study's best trial."""
    task = data.task
    net = restore_architecture(task, spec.family, best["config"])
    horizon = task.length - 1
    return {
        "study": spec.digest,
        "task": spec.task,
        "task_version": spec.task_version,
        "data_hash": spec.data_hash,
        "family": spec.family,
        "config": best["config"],
        "architecture": net.words,
        "budget": spec.budget,
        "width": min(net.widths),
        "parameters": count_parameters(net),
        "steps": spec.steps,
        "learning_rate": best["learning_rate"],
        "recipe": spec.recipe,
        "metric": task.metric,
        **({} if task.metric in METRICS else {"metric_facts": task.metrics[0].facts().as_json}),
        "guessing": data.guessing,
        "margin": task.margin,
        "solved_at": task.solved_at,
        "target": task.target_value,
        "protocol": spec.protocol,
        "direction": task.direction,
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "search_seed": spec.seed,
        "mrl": to_json(mean_recurrent_length(net, horizon)),
        "mrl_horizon": horizon,
        "reach": reach(net),
        "path_lengths": {str(span): to_json(path_length(net, span)) for span in task.needed_spans},
        "recurrent_edges_per_node": net.recurrent_edges_per_node,
        "sequential_steps": net.sequential_steps(task.length),
        **cost(net, task.length),
        **({"plugins": spec.plugins} if spec.plugins else {}),
    }


def study_row(
    spec: StudySpec, data: TaskFacts, summary: dict[str, Any], device: str
) -> dict[str, Any]:
    """The row of a finished search; `summary` comes from `summarise`."""
    row = describe_run(spec, data, summary["best"]) | {"seed": spec.seed, "state": "complete"}
    return records.make_row(
        "study", row, **summary, space=spec.space, spec=asdict(spec), **provenance(device, 1)
    )


def summarise(study: optuna.Study, spec: StudySpec, direction: str) -> dict[str, Any]:
    """A study, as its row has it. `best` is the best trial, None where none is complete, and
    `candidates` those of which one becomes the finalist."""
    trials = study.get_trials(deepcopy=False)
    ended = [(TrialFacts.of(t), t) for t in sorted(trials, key=place_of) if fills_place(t)]
    complete = [(facts, t) for facts, t in ended if t.state == TrialState.COMPLETE]
    space = spec.make_space()
    candidates = [_best(trial, space) for trial in candidate_trials(trials, direction)]
    startup = [t.value for facts, t in complete if facts.startup and t.value is not None]
    return {
        "trials": count_trials(trials).counts,
        "best": candidates[0] if candidates else None,
        "candidates": candidates,
        "warm": sum(facts.warm for facts, _ in ended),
        "startup_mean": fmean(startup) if startup else None,
        "startup_n": len(startup),
        "search_seconds": round(sum(TrialFacts.of(t).seconds for t in trials), 1),
        "complete": [
            {
                "index": facts.place,
                "value": t.value,
                "mrl": facts.mrl,
                "config": facts.config,
                "learning_rate": facts.learning_rate,
            }
            for facts, t in complete
        ],
        "history": _history(trials, spec),
        "ended": study.user_attrs.get("ended"),
    }


def _best(trial: FrozenTrial, space: SearchSpace) -> dict[str, Any]:
    facts = TrialFacts.of(trial)
    return {
        "index": facts.place,
        "value": trial.value,
        "config": facts.config,
        "learning_rate": facts.learning_rate,
        "on_edge": space.edges(trial.params),
        "warm": facts.warm,
    }


def _history(trials: list[FrozenTrial], spec: StudySpec) -> list[dict[str, Any]]:
    """Every trial that filled its place, in the order they finished: what was trained, its curve,
    seconds of training, and hours from the study's first trial to the end of this one. Only
    complete ones have a value."""
    done = [(t.datetime_complete, t.number, t)
            for t in trials if fills_place(t) and t.datetime_complete]  # fmt: skip
    began = min((t.datetime_start for t in trials if t.datetime_start), default=datetime.max)
    steps = dict(enumerate(Recipe.from_json(spec.recipe).evaluation_steps(spec.steps), 1))
    return [
        {
            "index": facts.place,
            "state": "diverged" if facts.diverged is not None else t.state.name.lower(),
            "value": t.value if t.state == TrialState.COMPLETE else None,
            "config": facts.config,
            "learning_rate": facts.learning_rate,
            "curve": _curve(t, steps),
            "seconds": round(facts.seconds, 3),
            "hours": round((finished - began).total_seconds() / 3600, 5),
        }
        for finished, _, t in sorted(done)
        for facts in [TrialFacts.of(t)]
    ]


def _curve(trial: FrozenTrial, steps: dict[int, int]) -> list[list[float]]:
    """[step, validation metric] of a trial's evaluations up to its end, to six digits. Of more than
    POINTS every second, third, ... is kept, counted back from the last. `steps`: those of the
    recipe's evaluations, by number."""
    points = [
        [steps[number], float(f"{value:.6g}")]
        for number, value in sorted(trial.intermediate_values.items())
        if number in steps and math.isfinite(value)
    ]
    return points[:: -max(1, -(-len(points) // POINTS))][::-1]
