"""An expert's first architectures, the same number for every family of a run.

The expert is the paper's theory: information travels best where the mean recurrent length (MRL)
over the spans 1 to T-1 is smallest. So a warm start takes the architectures of the smallest MRL of
the study's own space, at its own budget. One rule serves every family: a plain stack begins with
its shallowest, a convolution with the shallowest that reaches across the sequence. The paper's own
nets (nine layers, base 2, start 0) are not enqueued: they exist for two families, they lie in a
space only if its ranges hold them, and their MRL is not the smallest; `search_spaces/paper/` runs
them as they were.

Where MRL is equal (an infinite one too), the larger reach goes first, then the order of the space:
MRL does not tell cells apart, nor clockwork RNNs. The learning rate is the middle of its range.

They are trials like others: queued in the places 0..N-1, counted among `--trials`, seen by the
sampler. They are never pruned, so that what the expert proposes is measured at full steps; the
start-up mean leaves them out.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import optuna

from drnn_bench.errors import UserError
from drnn_bench.models.budget import Infeasible
from drnn_bench.models.mrl import mean_recurrent_length, reach
from drnn_bench.models.registry import make_architecture
from drnn_bench.search.feasible import Candidate, candidates
from drnn_bench.search.space import Value
from drnn_bench.search.trial_facts import TrialFacts

if TYPE_CHECKING:
    from drnn_bench.search.study import StudySpec
    from drnn_bench.tasks.task import Task


def warm_start(spec: StudySpec, task: Task) -> list[dict[str, Value]]:
    """The parameters of a study's warm-started trials, best first: of all architectures of its
    space, or of 200 random ones where it has over 10,000. Raises UserError where fewer are
    feasible than are asked for.
    """
    space, chosen = spec.make_space(), []
    listed = candidates(space, task.length, whole=10_000).shown
    for candidate in _by_mrl(spec.family, listed, task.length):
        if len(chosen) == spec.warm_start:
            break
        try:
            candidate.fit(space, task, spec.budget)
        except Infeasible:
            continue
        if candidate.params not in chosen:
            chosen.append(candidate.params)
    if len(chosen) < spec.warm_start:
        raise UserError(
            f"--warm-start {spec.warm_start}: the search space of {spec.family} has only "
            f"{len(chosen)} architectures that are feasible at budget {spec.budget} on {task.key}; "
            "every family starts with the same number"
        )
    return chosen


def _by_mrl(family: str, listed: tuple[Candidate, ...], length: int) -> list[Candidate]:
    """Neither MRL nor reach depends on the width, so no budget is solved for them."""

    def key(candidate: Candidate) -> tuple[float, float]:
        config = make_architecture(
            family, input_size=1, output_size=1, width=4096, **candidate.options
        )
        far = reach(config)
        return mean_recurrent_length(config, length - 1), -math.inf if far is None else -far

    keyed = []
    for candidate in listed:
        with contextlib.suppress(UserError):  # options that do not go together are no net
            keyed.append((key(candidate), candidate))
    return [candidate for _, candidate in sorted(keyed, key=lambda pair: pair[0])]


def enqueue(study: optuna.Study, spec: StudySpec, task: Task) -> None:
    """Queues the warm-started trials of a study, each in a place of its own.

    Where a driver died halfway, this queues the rest.
    """
    if not spec.warm_start or "warm_started" in study.user_attrs:
        return
    taken = {TrialFacts.of(trial).place for trial in study.get_trials(deepcopy=False)}
    for place, params in enumerate(warm_start(spec, task)):
        if place not in taken:
            study.enqueue_trial(params, user_attrs={"draw": {"place": place, "warm": True}})
    study.set_user_attr("warm_started", spec.warm_start)
