"""Every cell: the contract, and its equations written again as loops over numbers.

Legend: T steps, B batch, I inputs, H units, s dilation.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drnn_bench import kernels
from drnn_bench.cells.names import CELLS
from drnn_bench.cells.registry import find_cell
from drnn_bench.testing import CellContract
from tests.support.refused import refusal


@pytest.mark.parametrize("cell", [*map(find_cell, CELLS)], ids=repr)
class TestEveryCell(CellContract):
    pass


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def min_lstm(x, state, weight, bias):
    """Feng et al. 2024, section 3.2.3: f' = f / (f + i), i' = i / (f + i), h = f' h + i' n."""
    (h,) = state
    w_f, w_i, w_n = np.split(weight, 3)
    b_f, b_i, b_n = np.split(bias, 3)
    f, i = sigmoid(w_f @ x + b_f), sigmoid(w_i @ x + b_i)
    return (f / (f + i) * h + i / (f + i) * (w_n @ x + b_n),)


def min_gru(x, state, weight, bias):
    """Feng et al. 2024, section 3.1.2: h = (1 - z) h + z n."""
    (h,) = state
    (w_z, w_n), (b_z, b_n) = np.split(weight, 2), np.split(bias, 2)
    z = sigmoid(w_z @ x + b_z)
    return ((1 - z) * h + z * (w_n @ x + b_n),)


def indrnn(x, state, w, u, b):
    """Li et al. 2018, eq. 2, unit by unit."""
    (h,) = state
    return (np.array([max(0.0, w[k] @ x + u[k] * h[k] + b[k]) for k in range(len(h))]),)


def lem(x, state, v, w_y, w_z, b):
    """Rusch et al. 2022, eq. 3, with Delta t = 1."""
    y, z = state
    (v1, v2, vz, vy), (b1, b2, bz, by) = np.split(v, 4), np.split(b, 4)
    w1, w2, wz = np.split(w_y, 3)
    short, long = sigmoid(w1 @ y + v1 @ x + b1), sigmoid(w2 @ y + v2 @ x + b2)
    z = (1 - short) * z + short * np.tanh(wz @ y + vz @ x + bz)
    y = (1 - long) * y + long * np.tanh(w_z @ z + vy @ x + by)
    return y, z


ORACLES = {"min_gru": min_gru, "min_lstm": min_lstm, "indrnn": indrnn, "lem": lem}


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(sorted(ORACLES)),
    dilation=st.integers(1, 6),
    steps=st.integers(1, 14),
    units=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_a_layer_computes_its_equations(name, dilation, steps, units, seed):
    """c_t = f(x_t, c_{t-s}), sequence by sequence, in numpy."""
    cell, rng = find_cell(name), np.random.default_rng(seed)
    weights = [rng.normal(size=shape) for shape in cell.shapes(3, units).values()]
    x = rng.normal(size=(steps, 2, 3))
    begin = rng.normal(size=(cell.states, dilation, 2, units))
    y, left = kernels.scan(
        cell,
        torch.tensor(x),
        tuple(map(torch.tensor, weights)),
        dilation,
        tuple(map(torch.tensor, begin)),
    )
    for b in range(2):
        past = [tuple(begin[:, j, b]) for j in range(dilation)]
        for t in range(steps):
            past.append(ORACLES[name](x[t, b], past[t], *weights))
        assert np.allclose(y[:, b], [entry[0] for entry in past[dilation:]], atol=1e-10)
        for k, variable in enumerate(left):
            assert np.allclose(variable[:, b], [entry[k] for entry in past[steps:]], atol=1e-10)


def test_gates_that_round_to_zero_keep_their_ratio():
    cell = find_cell("min_lstm")
    weights = (torch.zeros(3, 1), torch.tensor([-200.0, -200.0, 1.0]))
    y, _ = kernels.scan(cell, torch.zeros(4, 1, 1), weights)
    assert y.flatten().tolist() == pytest.approx([0.5, 0.75, 0.875, 0.9375])


@pytest.mark.parametrize("name", ["min_gru", "min_lstm", "lem", "indrnn"])
def test_chrono_begins_with_memories_of_up_to_the_length(name):
    """What a state keeps of itself over a step without inputs, as a number of steps."""
    cell, most = find_cell(name), 50
    weights = tuple(torch.empty(s) for s in cell.shapes(1, 400).values())
    torch.manual_seed(0)
    with torch.no_grad():
        cell.initialise(weights, "chrono", most)
    if name == "indrnn":
        assert 0 <= weights[1].min() < weights[1].max() <= 2 ** (1 / most)
        return
    # Without inputs the new state's own part: the bias alone opens the gates.
    blank = tuple(w if w is weights[-1] else torch.zeros_like(w) for w in weights)
    state = (torch.ones(1, 400),) * cell.states
    kept = cell.step(cell.project(torch.zeros(1, 1), blank), state, blank)[0]
    spans = 1 / (1 - kept)
    assert 2 - 1e-3 <= spans.min() <= spans.max() <= most * (1 + 1e-3)
    assert float(spans.mean()) == pytest.approx((2 + most) / 2, rel=0.1)


def test_an_unknown_cell_is_one_line():
    assert "did you mean 'indrnn'" in refusal(find_cell, "indrn")


@pytest.mark.parametrize("name", ["min_gru", "min_lstm"])
def test_linear_cells_need_logarithmically_many_steps(name):
    assert find_cell(name).sequential_steps(784) == math.ceil(math.log2(784))
    assert find_cell("lem").sequential_steps(784) == 784
