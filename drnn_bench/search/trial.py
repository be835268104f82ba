"""The job of a trial: train what was drawn, on one seed."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from drnn_bench.search.study import StudySpec, seed_for
from drnn_bench.tasks.prepared import Prepared

LONG = 600.0  # seconds of training after which a trial brings snapshots


def trial_seed(spec: StudySpec, place: int) -> int:
    """The seed that the trial of a place trains on."""
    return seed_for(spec.seed, "trial", place)


@dataclass(frozen=True, kw_only=True)
class TrialJob:
    """Yields evaluations and returns what came out, as JSON values: `validation`, the best value
    of the task's metric, or `diverged`; and `seconds` of training."""

    spec: StudySpec
    config: dict[str, Any]
    learning_rate: float
    seed: int
    device: str
    resume: bytes | None = None  # a snapshot of this very trial

    def run(self, prepared: Prepared) -> Generator[Any, None, dict[str, Any]]:
        from drnn_bench.models.registry import restore_architecture
        from drnn_bench.training.loop import Diverged, train

        self.spec.check_code()
        prepared.check_quickly()
        task, started = prepared.task, time.perf_counter()
        try:
            trained = yield from train(
                restore_architecture(task, self.spec.family, self.config),
                task,
                prepared.arrays(),
                self.spec.make_space().recipe,
                learning_rate=self.learning_rate,
                steps=self.spec.steps,
                seed=self.seed,
                device=self.device,
                snapshots_after=LONG,
                resume=self.resume,
            )
        except Diverged as error:
            return {"diverged": str(error), "seconds": time.perf_counter() - started}
        return {"validation": trained.validation, "seconds": trained.seconds}

    @property
    def name(self) -> str:
        """What names it in its runs folder."""
        net = json.dumps([self.config, self.learning_rate], sort_keys=True)
        digest = hashlib.sha256(net.encode()).hexdigest()[:8]
        return f"{self.spec.digest}-trial-{self.seed}-{digest}"
