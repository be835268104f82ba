"""Multi-query associative recall (Arora et al. 2023, "Zoology", arXiv 2312.04927).

Pairs of a key and a value stand first. Each key comes once more, later, and there the net must give
its value. Between them stand blanks (0). Laid out as by the paper's public code
(HazyResearch/zoology, `multiquery_ar` with `random_non_queries=False`):

  keys     1 .. V/2-1, drawn without repetition
  values   V/2 .. V-1, drawn without repetition; the classes are counted from the first of them
  queries  at an even distance after the pairs. The distances are drawn one pair after the other
           without repetition, distance 2g with a probability in proportion to (g+1)^(a-1),
           a = 0.01: most queries come early, those of the first pairs above all.

A query's own step is scored, no other. The smallest setting of the paper's Figure 2 is 4 pairs at
T=64, with a vocabulary of 8192 and 100,000 sequences. Pairs and T are taken from there. Nets here
read symbols as one-hot vectors and have budgets of some thousand parameters, so the vocabulary is
64 by default and 256 at most; the paper finds that large vocabularies tell nets apart better. Its
outputs are the whole vocabulary, here they are the values alone. Generated from a fixed seed:
20,000 / 1,000 / 2,000 sequences, all of them different.

The metric is the accuracy over the queries. Guessing gives 2/V, here 0.031. A net has solved it at
0.99. The bound is our own: with 4 pairs all answers of a sequence are then right in 0.96 of them.

Legend: N sequences, T steps, P pairs, S steps after the pairs, K keys or values there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.tasks.draws import check_sequences, disjoint_splits
from drnn_bench.tasks.task import LONGEST, UNSCORED, Arrays, Task, check_range

POWER = 0.01  # the exponent a of the distances
SIZES = {"train": 20_000, "validation": 1_000, "test": 2_000}


@dataclass(frozen=True, kw_only=True)
class MQAR(Task):
    pairs: int = 4
    vocabulary: int = 64  # the blank, keys and values
    T: int = 64

    name: ClassVar[str] = "mqar"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "none needed: the data is generated"
    summary: ClassVar[str] = (
        "recall the values of several keys (generated; options pairs, vocabulary, T)"
    )
    metric: ClassVar[str] = "accuracy"
    solved_at: ClassVar[float | None] = 0.99
    target_value: ClassVar[float | None] = 0.99
    one_hot: ClassVar[bool] = True
    default_budget: ClassVar[int] = 16_000
    default_steps: ClassVar[int] = 2_000
    default_trials: ClassVar[int] = 20

    def __post_init__(self) -> None:
        check_range(self, "vocabulary", 4, 256)
        check_range(self, "pairs", 1, self.vocabulary // 2 - 1)
        check_range(self, "T", 4 * self.pairs, LONGEST)
        for option in ("vocabulary", "T"):
            if getattr(self, option) % 2:
                raise UserError(f"task mqar: {option} must be even, got {getattr(self, option)}")
        keys, values = self.vocabulary // 2 - 1, self.vocabulary // 2
        check_sequences(self, math.perm(keys, self.pairs) * math.perm(values, self.pairs))

    @property
    def length(self) -> int:
        return self.T

    @property
    def scored(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.T - 2 * self.pairs

    @property
    def input_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.vocabulary

    @property
    def output_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.vocabulary // 2

    @property
    def needed_spans(self) -> tuple[int, ...]:
        """From a value to its query: the shortest and the longest."""
        return tuple(sorted({1, self.T - 3}))

    def load(self, data_dir: str | None) -> Arrays:
        return disjoint_splits(self._draw, SIZES)

    def _draw(self, rng: np.random.RandomState, size: int) -> tuple[np.ndarray, np.ndarray]:
        first_value = self.vocabulary // 2
        keys_NP = 1 + _without_repetition(rng, size, np.zeros(first_value - 1), self.pairs)
        classes_NP = _without_repetition(rng, size, np.zeros(first_value), self.pairs)
        logs_S = (POWER - 1) * np.log(np.arange(1, self.scored // 2 + 1))
        steps_NP = 2 * _without_repetition(rng, size, logs_S, self.pairs)

        x_NT = np.zeros((size, self.T), dtype=np.uint8)
        x_NT[:, 0 : 2 * self.pairs : 2] = keys_NP
        x_NT[:, 1 : 2 * self.pairs : 2] = first_value + classes_NP
        np.put_along_axis(x_NT, 2 * self.pairs + steps_NP, keys_NP.astype(np.uint8), axis=1)
        y_NS = np.full((size, self.scored), UNSCORED, dtype=np.int16)
        np.put_along_axis(y_NS, steps_NP, classes_NP.astype(np.int16), axis=1)
        return x_NT, y_NS


def _without_repetition(
    rng: np.random.RandomState, size: int, logs_K: np.ndarray, count: int
) -> np.ndarray:
    """[size, count]: in each row, numbers 0 .. K-1 drawn one after the other without repetition,
    with probabilities in proportion to exp(logs). The largest of independent Gumbel variables with
    these locations are such a draw (Kool et al. 2019, "Stochastic Beams", section 2.2)."""
    keys_NK = -(logs_K + rng.gumbel(size=(size, len(logs_K))).astype(np.float32))
    return keys_NK.argsort(axis=1, kind="stable")[:, :count]
