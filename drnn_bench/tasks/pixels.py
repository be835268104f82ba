"""Images read one pixel a step, classified at the last step.

pixel_digits: the 1,797 real 8x8 handwritten digits of scikit-learn's `load_digits`, in its order
(the test part of Alpaydin and Kaynak's Optical Recognition of Handwritten Digits, UCI, CC BY 4.0),
in digits.npz beside this file. Our split, drawn once with RandomState(0): 1,197 / 240 / 360.

pixel_mnist: MNIST (LeCun, Cortes, Burges), 784 steps. Split as in the paper: of the 60,000
training images the first 5,000 are the validation set; 10,000 test images.

pixel_mnist_permuted: the same pixels in the paper's fixed random order,
RandomState(92916).permutation(784).

pixel_mnist_noisy: the pixels in their order, then uniform noise up to T = 1000 or 2000 steps, drawn
once with RandomState(0): what was seen must be kept while nothing comes in.

Targets are round values that about half of the families on the published boards reach before the
end of training, so that the time to them tells families apart: 95 % of the digits (8 of 10 families
at 5,000 parameters, 5 of 10 at 2,000), 95 % with noise (4 of 7 searches), 90 % permuted (3 of 5).
Plain MNIST has no board yet and takes that of the noisy one, whose pixels are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.tasks.sources import mnist
from drnn_bench.tasks.task import (
    LONGEST,
    Arrays,
    Reading,
    Task,
    check_range,
)

DIGITS = Path(__file__).with_name("digits.npz")  # images [1797, 64] from 0 to 16, labels; uint8
PAPER_PERMUTATION_SEED = 92916


@dataclass(frozen=True, kw_only=True)
class _Pixels(Task):
    metric: ClassVar[str] = "accuracy"
    scored: ClassVar[int] = 1
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 10


@dataclass(frozen=True, kw_only=True)
class PixelDigits(_Pixels):
    name: ClassVar[str] = "pixel_digits"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = (
        "Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, UCI): CC BY 4.0"
    )
    summary: ClassVar[str] = "8x8 handwritten digits, pixel by pixel (embedded)"
    scale: ClassVar[float] = 1 / 16
    default_budget: ClassVar[int] = 5_000
    default_steps: ClassVar[int] = 800
    target_value: ClassVar[float] = 0.95
    default_trials: ClassVar[int] = 10
    default_seeds: ClassVar[int] = 3

    @property
    def length(self) -> int:
        return 64

    def load(self, data_dir: str | None) -> Arrays:
        with np.load(DIGITS) as file:  # without pickle
            images, labels = file["images"], file["labels"]
        order = np.random.RandomState(0).permutation(len(labels))
        x, y = images[order], labels.astype(np.int64)[order]
        return {
            "train": (x[:1197], y[:1197]),
            "validation": (x[1197:1437], y[1197:1437]),
            "test": (x[1437:], y[1437:]),
        }


@dataclass(frozen=True, kw_only=True)
class PixelMNIST(_Pixels):
    name: ClassVar[str] = "pixel_mnist"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "MNIST (LeCun, Cortes, Burges): public, treated as CC BY-SA 3.0"
    summary: ClassVar[str] = "MNIST, pixel by pixel"
    scale: ClassVar[float] = 1 / 255
    default_budget: ClassVar[int] = 21_300
    default_steps: ClassVar[int] = 5_000
    target_value: ClassVar[float] = 0.95
    default_trials: ClassVar[int] = 30

    @property
    def length(self) -> int:
        return 784

    def load(self, data_dir: str | None) -> Arrays:
        train_x, train_y, test_x, test_y = mnist(data_dir)
        held_out = len(train_x) // 12  # 5,000 of 60,000
        if held_out == 0:
            raise UserError(f"MNIST: {len(train_x)} training images leave none for validation")
        return {
            "train": (train_x[held_out:], train_y[held_out:]),
            "validation": (train_x[:held_out], train_y[:held_out]),
            "test": (test_x, test_y),
        }


@dataclass(frozen=True, kw_only=True)
class PixelMNISTPermuted(PixelMNIST):
    name: ClassVar[str] = "pixel_mnist_permuted"
    summary: ClassVar[str] = "MNIST, pixels in the paper's fixed random order"
    target_value: ClassVar[float] = 0.90

    def read(self, data_dir: str | None) -> Reading:
        return Reading(self, self.load(data_dir), facts={"order": self.order.tolist()})

    def load(self, data_dir: str | None) -> Arrays:
        whole = super().load(data_dir)
        return {split: (x[:, self.order], y) for split, (x, y) in whole.items()}

    @property
    def order(self) -> np.ndarray:
        return np.random.RandomState(PAPER_PERMUTATION_SEED).permutation(self.length)


@dataclass(frozen=True, kw_only=True)
class PixelMNISTNoisy(PixelMNIST):
    T: int = 1000

    name: ClassVar[str] = "pixel_mnist_noisy"
    summary: ClassVar[str] = "MNIST, pixel by pixel, then noise up to T steps (option T)"

    def __post_init__(self) -> None:
        check_range(self, "T", 784, LONGEST)

    @property
    def length(self) -> int:
        return self.T

    def load(self, data_dir: str | None) -> Arrays:
        rng = np.random.RandomState(0)

        def noise(x: np.ndarray) -> np.ndarray:
            return rng.randint(0, 256, (len(x), self.T - 784), dtype=np.uint8)

        whole = super().load(data_dir)
        return {split: (np.hstack([x, noise(x)]), y) for split, (x, y) in whole.items()}
