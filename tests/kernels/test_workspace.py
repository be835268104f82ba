"""The workspaces of the fused scan, which are kept for the next call of the same shapes."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from drnn_bench import kernels
from drnn_bench.cells.gru import GRU
from drnn_bench.cells.lstm import LSTM
from drnn_bench.kernels import workspace
from drnn_bench.kernels.workspace import workspace_of
from tests.support.cells import fused_or_skip, weights_of


@pytest.fixture(autouse=True)
def _fused():
    fused_or_skip("fused")


def asked(**changes):
    """A workspace of two layers."""
    cell = changes.pop("cell", GRU())
    facts = {
        "x_shape": (9, 5, 3), "weights": weights_of(cell, changes.pop("sizes", (3, 4, 4))),
        "dilations": [1, 2], "rows": [None, None], "last": 1, "return_states": False,
    }  # fmt: skip
    return workspace_of(cell, **(facts | changes))


def test_the_same_shapes_have_the_same_workspace_and_others_another():
    rows = [None, np.arange(4)]
    one, with_rows = asked(), asked(rows=rows)
    assert asked() is one
    assert asked(x_shape=torch.Size([9, 5, 3]), dilations=(1, 2)) is one
    assert asked(rows=rows) is with_rows
    others = [
        asked(x_shape=(9, 6, 3)), asked(x_shape=(9, 5)), asked(dilations=[1, 3]), asked(last=2),
        asked(return_states=True), asked(sizes=(3, 4, 5)), asked(cell=LSTM()), with_rows,
        asked(rows=[None, np.arange(4)]),
    ]  # fmt: skip
    assert len({id(each) for each in (one, *others)}) == 1 + len(others)


def test_a_list_that_its_caller_changes_later_changes_no_workspace():
    dilations, rows = [1, 2], [None, None]
    one = asked(dilations=dilations, rows=rows, x_shape=(11, 5, 3))
    dilations[1], rows[1] = 7, np.arange(4)
    again = asked(x_shape=(11, 5, 3))
    assert again is one
    assert (list(again.dilations), list(again.rows)) == ([1, 2], [None, None])


def test_not_all_are_kept():
    for batch in range(1, 2 * workspace._MOST):
        asked(x_shape=(9, batch, 3))
    assert len(workspace._known) <= workspace._MOST


@pytest.mark.parametrize("cell", [GRU(), LSTM()], ids=str)
def test_rows_that_come_and_go_are_never_taken_for_one_another(cell):
    torch.manual_seed(0)
    weights, x_TBI = weights_of(cell, (3, 4, 4)), torch.randn(40, 8, 3)
    rng = np.random.default_rng(0)
    for _ in range(30):
        rows = [None, np.sort(rng.choice(40, 20, replace=False))]
        results = []
        for name in ("fused", "torch"):
            with kernels.forced(name):
                y, _ = kernels.stack(cell, x_TBI, weights, [1, 2], rows=rows, return_states=False)
            results.append(y)
        torch.testing.assert_close(*results, atol=1e-5, rtol=1e-4)
        del rows
        gc.collect()
