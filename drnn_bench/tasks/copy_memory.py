"""Copy memory (Hochreiter and Schmidhuber 1997; the layout of Chang et al. 2017).

Ten symbols drawn from 0..7, then T-1 blanks (8), then eleven markers (9): T+20 steps in all. Over
the last ten steps the net must give back the ten symbols. The loss is the cross-entropy in nats
over those ten steps only; guessing costs ln 8 = 2.0794. With `loss=all` it is that of Bai et al.:
the average over all T+20 steps, blanks wanted before the last ten, guessing 10 ln 8 / (T+20); the
two are not comparable. Generated from a fixed seed: 20,000 / 1,000 / 2,000 sequences.

A net has solved it where a symbol costs 0.01 nats or less: the ten together then have a probability
of e^-0.1, nine in ten. Finals lie on one side or the other: of the 88 in the published records none
is between 0.005 and 0.17.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.tasks.task import (
    LONGEST,
    Arrays,
    Task,
    check_range,
)

SYMBOLS, BLANK, MARKER, COPIED = 8, 8, 9, 10
SOLVED = 0.01  # nats a symbol


@dataclass(frozen=True, kw_only=True)
class CopyMemory(Task):
    T: int = 500
    loss: str = field(default="last", metadata={"quiet": True})  # or `all`

    name: ClassVar[str] = "copy_memory"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "none needed: the data is generated"
    summary: ClassVar[str] = "recall ten symbols after T steps (generated; option T)"
    metric: ClassVar[str] = "cross_entropy"
    one_hot: ClassVar[bool] = True
    input_size: ClassVar[int] = 10
    default_budget: ClassVar[int] = 8_000
    default_steps: ClassVar[int] = 2_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "T", 1, LONGEST)
        if self.loss not in ("last", "all"):
            raise UserError(f"task copy_memory: loss is last or all, got {self.loss!r}")

    @property
    def length(self) -> int:
        return self.T + 20

    @property
    def scored(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return COPIED if self.loss == "last" else self.length

    @property
    def output_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return SYMBOLS if self.loss == "last" else SYMBOLS + 1

    @property
    def solved_at(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return SOLVED * COPIED / self.scored

    @property
    def target_value(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The mean of the seeds is where a single one counts as solved."""
        return self.solved_at

    @property
    def needed_spans(self) -> tuple[int, ...]:
        """Every symbol is wanted back as many steps after it was read."""
        return (self.T + COPIED,)

    def load(self, data_dir: str | None) -> Arrays:
        rng = np.random.RandomState(0)
        sizes = {"train": 20_000, "validation": 1_000, "test": 2_000}
        return {split: self._draw(rng, size) for split, size in sizes.items()}

    def _draw(self, rng: np.random.RandomState, size: int) -> tuple[np.ndarray, np.ndarray]:
        symbols = rng.randint(0, SYMBOLS, (size, COPIED))
        x = np.full((size, self.length), BLANK, dtype=np.uint8)
        x[:, :COPIED] = symbols
        x[:, COPIED + self.T - 1 :] = MARKER
        if self.loss == "last":
            return x, symbols.astype(np.int64)
        y = np.full((size, self.length), BLANK, dtype=np.uint8)
        y[:, -COPIED:] = symbols
        return x, y
