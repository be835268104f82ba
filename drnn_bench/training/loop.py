"""One training run: an architecture, a task's arrays and a number of steps -> a trained model.

All random numbers come from one seed: the initial weights from torch's generator, the order of the
batches from numpy's. The same seed on the same machine gives the same bits, also where a run was
stopped and continued from a snapshot.

Legend: N sequences, B batch, T steps.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from drnn_bench.errors import UserError, one_line
from drnn_bench.models.architecture import Architecture
from drnn_bench.models.inputs import Net
from drnn_bench.models.streaming import Ring
from drnn_bench.results.recipe import Recipe
from drnn_bench.system.denormals import flushed
from drnn_bench.tasks.task import Arrays, Task
from drnn_bench.training.batches import SequenceBatches, StreamChunks
from drnn_bench.training.optimizer import Optimizer, clip, factor
from drnn_bench.training.scoring import evaluate


class Diverged(Exception):
    """The gradient or the metric was NaN or infinite."""

    def __init__(self, step: int):
        super().__init__(f"loss not finite at step {step}")
        self.step = step


@dataclass(frozen=True)
class Evaluation:
    """One evaluation on the validation set."""

    number: int  # of the recipe's evaluations, counted from 1
    value: float  # the task's metric
    standard_error: float  # of it, as far as the validation set's size goes
    seconds: float  # of training before it, evaluations included
    snapshot: bytes | None = None  # the whole run at this point, to continue from


@dataclass
class Trained:
    """A trained model, with the weights of its best checkpoint by validation."""

    model: Net
    validation: float  # the task's metric at that checkpoint
    step: int  # of that checkpoint
    seconds: float
    curve: list[list[float]]  # [step, metric] of every evaluation


def train(
    architecture: Architecture,
    task: Task,
    arrays: Arrays,
    recipe: Recipe,
    *,
    learning_rate: float,
    steps: int,
    seed: int,
    device: str = "cpu",
    snapshots_after: float = math.inf,
    resume: bytes | None = None,
) -> Generator[Evaluation, None, Trained]:
    """Trains from scratch and yields each of the recipe's evaluations. Never reads the test set.

    From `snapshots_after` seconds of training on, evaluations have a snapshot. `resume` is a
    snapshot of the same run: its evaluations are yielded again, and the run continues after them.
    Raises Diverged where a gradient or the metric is not finite, UserError for a snapshot that
    cannot be read.
    """
    run = _Run(architecture, task, arrays, recipe, learning_rate, steps, seed, device)
    numbers = {step: i for i, step in enumerate(recipe.evaluation_steps(steps), 1)}
    before, started = 0.0, time.perf_counter()
    if resume is not None:
        before = run.restore(resume)
        for (step, value), error in zip(run.curve, run.errors, strict=True):
            yield Evaluation(numbers[step], value, error, before)
    while run.step < steps:
        run.train_step()
        if run.step in numbers:
            value = run.evaluate()
            seconds = before + time.perf_counter() - started
            snapshot = run.snapshot(seconds) if seconds >= snapshots_after else None
            yield Evaluation(numbers[run.step], value, run.errors[-1], seconds, snapshot)
    assert run.best is not None, "every recipe evaluates after the last step"
    run.model.load_state_dict(run.best_state)
    seconds = before + time.perf_counter() - started
    return Trained(run.model, run.best, run.best_step, seconds, run.curve)


class _Run:
    """A model in training, and all that its next step depends on."""

    def __init__(
        self,
        architecture: Architecture,
        task: Task,
        arrays: Arrays,
        recipe: Recipe,
        learning_rate: float,
        steps: int,
        seed: int,
        device: str,
    ):
        torch.manual_seed(seed)
        self.task, self.recipe, self.device = task, recipe, device
        self.model = architecture.build().to(device)
        self.weights = flatten(self.model)
        self.optimizer = Optimizer(recipe, self.weights)
        self.learning_rate, self.factor = learning_rate, factor(recipe, steps)
        source = StreamChunks if task.stream else SequenceBatches
        self.batches = source(self.model, task, arrays["train"], recipe.batch_size, seed, device)
        self.validation = tuple(part[: task.prefix] for part in arrays["validation"])
        self.step, self.curve, self.errors = 0, [], []
        self.best: float | None = None
        self.best_step = 0
        self.best_state: dict[str, Tensor] = {}

    @flushed()
    def train_step(self) -> None:
        loss = self.batches.loss()
        self.optimizer.zero_grad()
        loss.backward()
        rate = self.learning_rate * self.factor(self.step)
        self.step += 1
        if not math.isfinite(clip(self.weights, self.recipe.clip_norm)):
            raise Diverged(self.step)
        self.optimizer.step(rate)

    def evaluate(self) -> float:
        """The metric on the validation set. Keeps a copy of the weights where it is the best so
        far."""
        batch_size = self.recipe.batch_size
        scores = evaluate(self.model, self.task, self.validation, self.device, batch_size)
        value = scores.value
        if not math.isfinite(value):
            raise Diverged(self.step)
        self.curve.append([self.step, value])
        self.errors.append(scores.standard_error)
        better = max if self.task.direction == "max" else min
        if self.best is None or better(value, self.best) != self.best:
            self.best, self.best_step = value, self.step
            self.best_state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        return value

    def snapshot(self, seconds: float) -> bytes:
        """The run between two steps, as tensors, numbers and names; no code is pickled."""
        generators = {"cpu": torch.get_rng_state()}
        if self.device != "cpu":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        saved = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state,
            "generators": generators,
            "batches": self.batches.state,
            "step": self.step,
            "curve": self.curve,
            "errors": self.errors,
            "best": [self.best, self.best_step, self.best_state],
            "seconds": seconds,
        }
        file = io.BytesIO()
        torch.save(saved, file)
        return file.getvalue()

    def restore(self, snapshot: bytes) -> float:
        """Takes over a snapshot of the same run. Returns the seconds of training before it."""
        try:
            with torch.serialization.safe_globals([Ring]):
                saved = torch.load(
                    io.BytesIO(snapshot), map_location=self.device, weights_only=True
                )
        except Exception as error:  # torch raises errors of many kinds for bytes of no snapshot
            raise UserError(f"a snapshot cannot be read ({one_line(error)})") from None
        self.model.load_state_dict(saved["model"])
        self.optimizer.restore(saved["optimizer"])
        torch.set_rng_state(saved["generators"]["cpu"].cpu())
        if "cuda" in saved["generators"]:
            torch.cuda.set_rng_state(saved["generators"]["cuda"].cpu(), self.device)
        self.batches.restore(saved["batches"])
        self.step, self.curve = saved["step"], saved["curve"]
        self.errors = saved["errors"]
        self.best, self.best_step, self.best_state = saved["best"]
        return saved["seconds"]


def flatten(model: nn.Module) -> list[nn.Parameter]:
    """Moves all weights and their gradients into one parameter, of which the model's own parameters
    become views. Returns it; where the weights have several dtypes, returns them unchanged.

    These nets have few weights in many tensors. Clipping and updating the tensors one by one took a
    fifth of a small net's training step; one tensor takes a fiftieth.
    """
    own = list(model.parameters())
    if len({p.dtype for p in own}) > 1:
        return own
    # Each begins at a multiple of 16 numbers, for complex views and vector loads.
    sizes = [-(-p.numel() // 16) * 16 for p in own]
    weights = nn.Parameter(own[0].new_zeros(sum(sizes)))
    weights.grad = torch.zeros_like(weights)
    parts = zip(own, weights.detach().split(sizes), weights.grad.split(sizes), strict=True)
    for p, value, grad in parts:
        value[: p.numel()] = p.detach().flatten()
        p.data, p.grad = value[: p.numel()].view_as(p), grad[: p.numel()].view_as(p)
    return [weights]
