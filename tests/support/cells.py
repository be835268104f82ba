"""The cells that kernels compute, and weights for them."""

from __future__ import annotations

import itertools

import pytest
import torch

from drnn_bench.cells.cell import Cell
from drnn_bench.cells.names import CELLS as NAMES
from drnn_bench.cells.registry import find_cell
from drnn_bench.cells.skip import Skip

CELLS = (*map(find_cell, NAMES), Skip())


def fused_or_skip(name: str = "fused") -> None:
    """Skips where the kernels of that name cannot run."""
    if name == "fused":
        registers = pytest.importorskip("drnn_bench.kernels.registers")
        if not registers.SUPPORTED:
            pytest.skip("this processor has neither AVX-512 nor AVX2")


def weights_of(cell: Cell, sizes: tuple[int, ...]) -> list[tuple[torch.Tensor, ...]]:
    """A stack's weights, small enough that no rounding is amplified over the steps."""
    return [
        tuple(
            torch.empty(*shape).uniform_(-0.6, 0.6) * units**-0.5
            for shape in cell.shapes(inputs, units).values()
        )
        for inputs, units in itertools.pairwise(sizes)
    ]
