"""The cells that kernels compute, and weights for them."""

from __future__ import annotations

import itertools

import pytest
import torch

from drnn_bench import kernels

CELLS = ("rnn", "gru", "lstm", "skip", "min_gru")


def fused_or_skip(name: str = "fused") -> None:
    """Skips where the kernels of that name cannot run."""
    if name == "fused":
        registers = pytest.importorskip("drnn_bench.kernels.registers")
        if not registers.SUPPORTED:
            pytest.skip("this processor has neither AVX-512 nor AVX2")


def weights_of(cell: str, sizes: tuple[int, ...]) -> list[tuple[torch.Tensor, ...]]:
    """A stack's weights, small enough that no rounding is amplified over the steps."""
    layers, rows = [], kernels.gates(cell)
    for inputs, units in itertools.pairwise(sizes):
        heard = 0 if cell == "min_gru" else rows * units
        shapes = [(rows * units, inputs), (heard, units), (rows * units,)]
        shapes += [(units, units)] if cell == "skip" else []
        layers.append(tuple(torch.empty(*s).uniform_(-0.6, 0.6) * units**-0.5 for s in shapes))
    return layers
