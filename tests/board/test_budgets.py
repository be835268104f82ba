"""Budgets side by side."""

from __future__ import annotations

import pytest

from drnn_bench.board import budgets
from drnn_bench.results.ranking import rank_rows
from tests.support.markdown import table
from tests.support.searched import (
    flat,
    searched,
    three,
)


def test_the_speed_ratio_may_be_to_any_family():
    rows, _ = three()
    board = rank_rows(flat(rows), base="dilated_cnn")
    ratios = {x.family: x.speed_ratio for x in board[0].lines}
    assert ratios == pytest.approx({"dilated_rnn": 0.16, "lstm": 0.4, "dilated_cnn": 1.0})
    shown = budgets.to_text(board, "dilated_cnn", csv=False)
    [_, _, *body] = table(shown)
    assert dict(body)["dilated_rnn"] == "95.1 ± 0.2 [{:,}, 0.16x, {:.1f}]".format(
        *next((x.parameters, x.mrl) for x in board[0].lines if x.family == "dilated_rnn")
    )
    assert "training speed/dilated_cnn, MRL over the spans 1 to 63" in shown
    one = budgets.to_records(board, "dilated_cnn")[0]
    assert (one["speed_ratio"], one["speed_base"]) == (pytest.approx(0.16), "dilated_cnn")


def test_budgets_side_by_side_stand_as_they_rank_at_the_largest():
    small, large = searched("lstm", value=0.9), searched("lstm", budget=2000, width=12, value=0.1)
    other = searched("gru", budget=2000, width=12, value=0.5)
    only_small = searched("rnn", value=0.95)
    rows = [small.study(), *small.finals(0.9, 0.91), large.study(), *large.finals(0.3, 0.31),
            other.study(), *other.finals(0.5, 0.51),
            only_small.study(), *only_small.finals(0.8, 0.81)]  # fmt: skip
    [_, _, *body] = table(budgets.to_text(rank_rows(rows), "lstm", csv=False))
    assert [family for family, *_ in body] == ["gru", "lstm", "rnn"]
