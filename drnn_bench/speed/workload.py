"""What is timed of a model: a training step, inference, one sequence, one step of a stream.

Legend: B batch, T steps, I input size, x inputs, S scored steps, O outputs, D targets a step.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from drnn_bench.metrics.forms import FORM_OF_LOSS, TargetForm
from drnn_bench.models.architecture import Architecture
from drnn_bench.models.registry import make_architecture
from drnn_bench.results.codec import from_json
from drnn_bench.results.recipe import Recipe
from drnn_bench.system.denormals import flushed
from drnn_bench.tasks.task import Task
from drnn_bench.training.loop import flatten
from drnn_bench.training.losses import mean_loss
from drnn_bench.training.optimizer import Optimizer, clip

STREAM_STEPS = 64  # in one timed run, as some families compute more at some steps than at others


@dataclass(frozen=True, kw_only=True)
class Workload:
    """An architecture, and the shapes at which its model runs.

    length: steps of a sequence
    scored: how many steps at its end have a loss
    last:   how many outputs at its end are computed; None: all
    loss:   that training computes
    levels: of the quantile loss
    symbols: inputs are those of a one-hot task: whole numbers, where the model takes them
    """

    architecture: Architecture
    recipe: Recipe
    length: int
    scored: int
    last: int | None
    loss: str = "cross_entropy"
    levels: tuple[float, ...] = ()
    symbols: bool = False

    @property
    def form(self) -> TargetForm:
        return TargetForm(FORM_OF_LOSS[self.loss], self.architecture.output_size, self.levels)

    @property
    def every_step(self) -> bool:
        """Whether all outputs are computed."""
        return self.last in (None, self.length)

    @classmethod
    def of(
        cls, architecture: Architecture, task: Task, recipe: Recipe, length: int | None = None
    ) -> Workload:
        """An architecture on a task's sequences, or on sequences of another length."""
        length = length or task.length
        every_step = task.scored in (None, task.length)
        scored = length if every_step or task.scored is None else min(task.scored, length)
        # Where sequences end at different steps, every step is computed.
        last = None if every_step or task.unequal else scored
        return cls(
            architecture=architecture,
            recipe=recipe,
            length=length,
            scored=scored,
            last=last,
            loss=task.loss_function,
            levels=task.target_form.quantiles,
            symbols=task.one_hot,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for another process."""
        net = self.architecture
        sizes = {"input_size": net.input_size, "output_size": net.output_size}
        return {
            "family": net.family,
            "options": {**sizes, **net.config},
            "recipe": self.recipe.table,
            "shapes": {"length": self.length, "scored": self.scored, "last": self.last},
            "loss": [self.loss, *self.levels],
            "symbols": self.symbols,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Workload:
        return cls(
            architecture=make_architecture(values["family"], **from_json(values["options"])),
            recipe=Recipe.from_json(values["recipe"]),
            **values["shapes"],
            loss=values["loss"][0],
            levels=tuple(values["loss"][1:]),
            symbols=values["symbols"],
        )


class Runner:
    """A model with its data: each method runs once what is timed."""

    def __init__(self, work: Workload, device: str):
        torch.manual_seed(0)
        self.work, architecture = work, work.architecture
        self.model = architecture.build().to(device)
        self.at_rest = copy.deepcopy(self.model).eval()  # without dropout
        self.weights = flatten(self.model)
        self.optimizer = Optimizer(work.recipe, self.weights)
        self.x = self._inputs(device)
        self.y = self._targets(work.scored)
        self._state: Any = None
        # An answer is complete only when the GPU has computed it.
        self._wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None

    def _inputs(self, device: str) -> torch.Tensor:
        """Random inputs as training gives them: symbols [B, T], or numbers [B, T, I]."""
        shape, size = (
            (self.work.recipe.batch_size, self.work.length),
            self.model.built_from_.input_size,
        )
        if self.work.symbols and getattr(self.model, "takes_symbols", False):
            return torch.randint(size, shape, device=device)
        return torch.rand(*shape, size, device=device)

    def _targets(self, steps: int) -> torch.Tensor:
        """Random targets of so many steps: classes (B, steps), others (B, steps, D)."""
        form, shape, device = self.work.form, (len(self.x), steps), self.x.device
        if form.kind == "classes":
            return torch.randint(form.outputs, shape, device=device)
        return torch.randint(2, (*shape, form.targets), device=device).float()

    @cached_property
    def _all(self) -> torch.Tensor:
        """A target for every step; made where it is asked for, so that it is no part of the peak
        memory of a net that is scored at its end."""
        return self._targets(self.work.length)

    def train(self) -> None:
        """One training step at the recipe's batch."""
        self._train(self.y, self.work.last)

    def train_all(self) -> None:
        """The same with every step's output computed and scored."""
        self._train(self._all, None)

    @flushed()
    def _train(self, y: torch.Tensor, last: int | None) -> None:
        outputs_BSO = self.model(self.x, last=last)
        if outputs_BSO.shape[1] > y.shape[1]:  # the gradient of a slice is a copy
            outputs_BSO = outputs_BSO[:, -y.shape[1] :]
        loss = mean_loss(self.work.loss, self.work.form, outputs_BSO, y)
        self.optimizer.zero_grad()
        loss.backward()
        clip(self.weights, self.work.recipe.clip_norm)
        self.optimizer.step(1e-4)

    @torch.no_grad()
    def infer(self) -> None:
        """Inference of whole sequences, at the recipe's batch."""
        self.at_rest(self.x, last=self.work.last)

    @torch.no_grad()
    def infer_all(self) -> None:
        """The same with every step's output computed."""
        self.at_rest(self.x)

    @torch.no_grad()
    def latency(self) -> None:
        """Inference of one whole sequence."""
        self.at_rest(self.x[:1], last=self.work.last)
        self._wait()

    @torch.no_grad()
    def stream(self) -> None:
        """STREAM_STEPS steps of one sequence, one by one. The next call continues the sequence."""
        first = self.x[:1, :1]
        for _ in range(STREAM_STEPS):
            _, self._state = self.at_rest.stream(first, self._state)
            self._wait()
