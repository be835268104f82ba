"""What a task of anybody's gives is checked before anything is trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from drnn_bench.errors import JobError
from drnn_bench.tasks.prepared import read
from drnn_bench.tasks.task import SPLITS, UNSCORED, Task
from drnn_bench.training.scoring import targets
from tests.support.refused import refusal

N, T = 6, 5
X, Y = np.zeros((N, T, 2), np.float32), np.arange(N) % 3
PER_STEP = np.tile(np.arange(T) % 3, (N, 1))


@dataclass(frozen=True, kw_only=True)
class Given(Task):
    """Whatever a test gives it."""

    name: ClassVar[str] = "given"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "what a test says"
    metric: ClassVar[str] = "accuracy"
    length: ClassVar[int] = T
    scored: ClassVar[int] = 1
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 3


def of(task: type[Task], test: tuple, **others: tuple):
    """Reads a task whose test split is given, as a run does."""

    class Made(task):
        def load(self, data_dir):
            return dict.fromkeys(SPLITS, test) | others

    return read(Made(), None)


class EveryStep(Given):
    scored: ClassVar[int] = T


class Symbols(Given):
    one_hot: ClassVar[bool] = True


class Stream(Given):
    stream: ClassVar[bool] = True
    one_hot: ClassVar[bool] = True
    scored: ClassVar[None] = None


class Real(Given):
    loss_function: ClassVar[str] = "mse"
    metric: ClassVar[str] = "mse"
    output_size: ClassVar[int] = 2
    target_offset: ClassVar[tuple[float, ...]] = (1.0, 5.0)
    target_scale: ClassVar[tuple[float, ...]] = (2.0, 2.0)


class RealEveryStep(Real):
    scored: ClassVar[int] = T
    output_size: ClassVar[int] = 1
    target_offset: ClassVar[float] = 0.0
    target_scale: ClassVar[float] = 2.0


class ThreeScales(Real):
    target_scale: ClassVar[tuple[float, ...]] = (1.0, 2.0, 3.0)


class Binary(Given):
    loss_function: ClassVar[str] = "bce"
    metric: ClassVar[str] = "auroc"


Y2 = np.arange(12, dtype=np.float32).reshape(N, 1, 2)
YT = np.ones((N, T), np.float32)
YES = (np.arange(18).reshape(N, 1, 3) % 2).astype(np.uint8)

INFINITE = np.float32(np.inf)

RIGHT = {
    "two real targets": (Real, (X, Y2)),
    "a real target a step": (RealEveryStep, (X, YT)),
    "a real target a step, with its axis": (RealEveryStep, (X, YT[..., None])),
    "real targets up to an end": (
        RealEveryStep,
        (X, np.where(np.arange(T) < 3, YT, np.nan), np.full(N, 3)),
    ),
    "yes or no": (Binary, (X, YES)),
    "yes, no or unscored": (
        Binary,
        (X, np.where(Y[:, None, None] == 1, np.nan, YES).astype(np.float32)),
    ),
    "one label": (Given, (X, Y)),
    "bool labels": (Given, (X, Y == 1)),
    "a column of labels": (Given, (X, Y[:, None])),
    "labels of each step": (EveryStep, (X, PER_STEP)),
    "lengths": (EveryStep, (X, np.where(np.arange(T) < 3, PER_STEP, UNSCORED), np.full(N, 3))),
    "symbols": (Symbols, (np.ones((N, T), np.uint8), Y)),
    "a stream": (Stream, (np.zeros(9, np.uint16), np.ones(9, np.uint16))),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_passes(case):
    assert len(of(*RIGHT[case]).data_hash) == 16


WRONG = {
    "three scales of two targets": (
        ThreeScales,
        (X, Y2),
        "target_scale has 3 numbers; expected one",
    ),
    "real targets": (Given, (X, Y + 0.5), "given, train: targets are float64; expected classes"),
    "real targets that are whole": (Given, (X, Y.astype(np.float32)), "targets are float32"),
    "real targets of each step": (EveryStep, (X, PER_STEP * 1.0), "targets are float64"),
    "complex targets": (Given, (X, Y * 1j), "targets are complex128"),
    "words": (Given, (X, Y.astype(str)), "targets are <U21"),
    "classes for a real loss": (Real, (X, YES[..., :2]), "targets are uint8; expected float32"),
    "one real target of two": (Real, (X, Y2[..., 0]), "shape (6, 1); expected (6, 1, 2)"),
    "an infinite target": (Real, (X, np.where(Y2 > 3, INFINITE, Y2)), "targets have infinite"),
    "no real target": (Real, (X, Y2 * np.float32("nan")), "all targets are NaN"),
    "real targets after an end": (RealEveryStep, (X, YT, np.full(N, 3)), "expected NaN there"),
    "half a yes": (Binary, (X, YES / np.float32(2)), "between 0 and 1; expected 0 or 1"),
    "a yes above 1": (Binary, (X, 2 * YES), "targets from 0 to 2; expected 0 to 1"),
    "no without yes": (Binary, (X, 0 * YES), "auroc needs targets of two classes"),
    "a class too many": (Given, (X, Y + 1), "targets from 1 to 3; expected 0 to 2"),
    "a class below": (Given, (X, Y - 1), "targets from -1 to 1; expected 0 to 2"),
    "nothing scored": (Given, (X, np.full(N, UNSCORED)), "all targets are -100"),
    "labels of other steps": (Given, (X, PER_STEP), "targets have shape (6, 5); expected (6, 1)"),
    "coordinates": (
        Given,
        (X.astype(float) + 5e6, Y),
        "inputs are float64; expected uint8 or float32",
    ),
    "counters": (Given, (X.astype(np.int64), Y), "inputs are int64; expected uint8 or float32"),
    "NaN": (Given, (np.where(np.eye(N, T)[..., None], np.nan, X), Y), "row 0 of the inputs has N"),
    "other steps": (Given, (X[:, 1:], Y), "inputs have shape (6, 4, 2); expected (N, 5, 2)"),
    "other channels": (Given, (X[..., :1], Y), "(6, 5, 1); expected (N, 5, 2)"),
    "fewer labels": (Given, (X, Y[1:]), "arrays of 6, 5 rows"),
    "no rows": (Given, (X[:0], Y[:0]), "arrays of 0, 0 rows"),
    "one array": (Given, (X,), "1 arrays; expected inputs, targets"),
    "symbols too great": (Symbols, (np.full((N, T), 2), Y), "symbols from 2 to 2; expected 0 to 1"),
    "symbols below": (Symbols, (np.full((N, T), -1), Y), "symbols from -1 to -1"),
    "symbols that are real": (Symbols, (np.ones((N, T)), Y), "float64; expected symbols"),
    "a stream of rows": (Stream, (np.zeros((9, 2), int), np.zeros((9, 2), int)), "expected (N,)"),
    "lengths too great": (Given, (X, Y, np.full(N, T + 1)), "expected int64 from 1 to 5"),
    "targets after an end": (EveryStep, (X, PER_STEP, np.full(N, 3)), "after a sequence's end"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(case):
    task, arrays, words = WRONG[case]
    said = refusal(of, task, arrays)
    assert said.startswith("task given")
    assert words in said


def test_splits_have_their_names():
    said = refusal(lambda: of(Given, (X, Y), holdout=(X, Y)))
    assert "expected train, validation, test" in said


def test_training_rounds_nothing():
    assert targets(Given(), np.array([1, 2]), "cpu").tolist() == [[1], [2]]
    assert "targets are float32" in refusal(targets, Given(), np.array([0.9], np.float32), "cpu")
    assert "targets are int64" in refusal(targets, Real(), np.array([[1, 2]]), "cpu")
    scaled = targets(Real(), np.array([[[3, 7]], [[np.nan, 5]]], np.float32), "cpu")
    np.testing.assert_array_equal(scaled.numpy(), np.array([[[1, 1]], [[np.nan, 0]]]))


def test_too_little_memory_is_a_line_that_names_the_size():
    class Great(Given):
        def load(self, data_dir):
            return np.zeros((2**40, 2**10))

    with pytest.raises(JobError, match=r"^task given: not enough memory: 8\.00 PiB wanted"):
        read(Great(), None)
