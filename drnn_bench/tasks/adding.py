"""The adding problem (Hochreiter and Schmidhuber 1997, experiment 4; the form of Le et al. 2015).

Each of T steps has a number, drawn evenly between 0 and 1, and a marker, which is 1 at one step of
the first half and at one of the second, else 0. At the last step the net must give the sum of the
two marked numbers. The loss is the mean squared error; always answering 1 costs 1/6 = 0.1667, the
variance of the sum. T = 400 is the middle one of Bai et al. 2018. Generated from a fixed seed:
20,000 / 1,000 / 2,000 sequences; at T = 400 they take 150 MB.

A net has solved it where the squared error is 0.0016 or less, an error of 0.04. Hochreiter and
Schmidhuber count a sequence as right within 0.04 of half the sum, 0.08 of the sum itself: two such
errors.

Legend: N sequences, T steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drnn_bench.tasks.task import LONGEST, Arrays, Task, check_range

SOLVED = 0.04**2


@dataclass(frozen=True, kw_only=True)
class Adding(Task):
    T: int = 400

    name: ClassVar[str] = "adding"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "none needed: the data is generated"
    summary: ClassVar[str] = "add two marked numbers of T (generated; option T)"
    loss_function: ClassVar[str] = "mse"
    metric: ClassVar[str] = "mse"
    other_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")
    scored: ClassVar[int] = 1
    solved_at: ClassVar[float] = SOLVED
    target_value: ClassVar[float] = SOLVED
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    default_budget: ClassVar[int] = 8_000
    default_steps: ClassVar[int] = 2_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "T", 2, LONGEST)

    @property
    def length(self) -> int:
        return self.T

    @property
    def margin(self) -> float:
        """A quarter of the error of a net that has just solved it."""
        return SOLVED / 4

    @property
    def needed_spans(self) -> tuple[int, ...]:
        """Half of the first numbers stand so many steps before the answer, or more. A net that
        cannot cross them cannot have an error below 1/24."""
        return (3 * self.T // 4,)

    def load(self, data_dir: str | None) -> Arrays:
        rng = np.random.default_rng(0)
        sizes = {"train": 20_000, "validation": 1_000, "test": 2_000}
        return {split: self._draw(rng, size) for split, size in sizes.items()}

    def _draw(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        rows_N, half = np.arange(size), self.T // 2
        marked_N2 = np.stack([rng.integers(0, half, size), rng.integers(half, self.T, size)], 1)
        x_NT2 = np.zeros((size, self.T, 2), np.float32)
        x_NT2[:, :, 0] = rng.random((size, self.T), np.float32)
        x_NT2[rows_N[:, None], marked_N2, 1] = 1
        return x_NT2, x_NT2[rows_N[:, None], marked_N2, 0].sum(1)
