"""Selective copying (Gu and Dao 2023, "Mamba", section 4.1.1; arXiv 2312.00752).

Content symbols stand at random places among noise, T steps in all. As many markers follow as there
are content symbols. Over the markers the net must give back the content, in its order. The places
differ from sequence to sequence, so a net must tell content from noise: a fixed delay, which solves
`copy_memory`, does not.

The paper has T=4096, 16 content symbols and a vocabulary of 16. It does not say whether the marker
is in the vocabulary. Here noise and marker both are, so 14 symbols are content; this is our own
reading, and as far as we know that of the S4 repository. The defaults are smaller, so that a net
trains within minutes on two cores; `T=4096,tokens=16` is the paper's size. Generated from a fixed
seed: 20,000 / 1,000 / 2,000 sequences, all of them different.

The metric is the accuracy over the markers. Guessing gives 1/14 = 0.071. A net has solved it at
0.97: in the paper's Table 1 the selective layers have 97.0 to 99.8 %, all others 57.0 % at most.

Legend: N sequences, T steps, K content symbols.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.tasks.draws import check_sequences, disjoint_splits
from drnn_bench.tasks.task import LONGEST, Arrays, Task, check_range

ROWS = 1_000  # drawn at a time, as the random numbers take 8 T bytes each
SIZES = {"train": 20_000, "validation": 1_000, "test": 2_000}


@dataclass(frozen=True, kw_only=True)
class SelectiveCopy(Task):
    T: int = 128
    tokens: int = 8
    vocabulary: int = 16  # content, noise and marker

    name: ClassVar[str] = "selective_copy"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "none needed: the data is generated"
    summary: ClassVar[str] = (
        "recall symbols from among noise (generated; options T, tokens, vocabulary)"
    )
    metric: ClassVar[str] = "accuracy"
    solved_at: ClassVar[float | None] = 0.97
    target_value: ClassVar[float | None] = 0.97
    one_hot: ClassVar[bool] = True
    default_budget: ClassVar[int] = 8_000
    default_steps: ClassVar[int] = 2_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "T", 1, LONGEST)
        check_range(self, "tokens", 1, LONGEST)
        check_range(self, "vocabulary", 3, 256)
        if self.tokens > self.T:
            raise UserError(
                f"task selective_copy: tokens must be at most T={self.T}, got {self.tokens}"
            )
        # More than the first 64 symbols and places would only make the number larger.
        places = math.comb(self.T, min(self.tokens, 64))
        check_sequences(self, self.output_size ** min(self.tokens, 64) * places)

    @property
    def length(self) -> int:
        return self.T + self.tokens

    @property
    def scored(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.tokens

    @property
    def input_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.vocabulary

    @property
    def output_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.vocabulary - 2

    @property
    def needed_spans(self) -> tuple[int, ...]:
        """The shortest and the longest: content at its last possible place, and at its first."""
        return tuple(sorted({self.tokens, self.T}))

    def load(self, data_dir: str | None) -> Arrays:
        return disjoint_splits(self._draw, SIZES)

    def _draw(self, rng: np.random.RandomState, size: int) -> tuple[np.ndarray, np.ndarray]:
        noise, marker = self.vocabulary - 2, self.vocabulary - 1
        content_NK = rng.randint(0, self.output_size, (size, self.tokens)).astype(np.uint8)
        places_NK = np.concatenate(
            [self._places(rng, len(rows)) for rows in np.array_split(content_NK, 1 + size // ROWS)]
        )
        x_NT = np.full((size, self.length), noise, dtype=np.uint8)
        np.put_along_axis(x_NT, places_NK, content_NK, axis=1)
        x_NT[:, self.T :] = marker
        return x_NT, content_NK

    def _places(self, rng: np.random.RandomState, size: int) -> np.ndarray:
        """[size, K], ascending in each row: the places of the K smallest of T random numbers."""
        order_NT = rng.random_sample((size, self.T)).argsort(axis=1)
        return np.sort(order_NT[:, : self.tokens], axis=1)
