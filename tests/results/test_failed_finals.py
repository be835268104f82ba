"""A final that failed by machine or code takes its family's rank, until it has run."""

from __future__ import annotations

import pytest

from drnn_bench.results import schema
from drnn_bench.results.ranking import rank_rows
from tests.support.searched import FAIR, GOOD, Row, line, searched


def failed(one, seed: int) -> Row:
    row = one.final(seed, None)
    return row | {"state": "failed", "reason": "ValueError: no"}


def test_a_family_with_a_failed_final_has_no_rank_and_says_why():
    lstm, cnn = searched("lstm"), searched("dilated_cnn", depth=2)
    rows = [lstm.study(), *lstm.finals(*GOOD), failed(lstm, 7), cnn.study(), *cnn.finals(*FAIR)]
    assert [schema.fault(row) for row in rows] == [None] * len(rows)
    [group] = rank_rows(rows)
    assert [(x.family, x.rank_low, x.n) for x in group.lines] == [
        ("dilated_cnn", 1, 3),
        ("lstm", None, 0),
    ]
    assert group.lines[1].left_out == ["no rank: the final of seed 7 failed: ValueError: no"]
    assert (group.lines[1].test_mean, group.lines[1].diverged_finals) == (None, 0)


@pytest.mark.parametrize("later", [True, False])
def test_once_it_has_run_the_failure_counts_no_more(later):
    one = searched("lstm")
    study, finals, failure = one.study(), one.finals(*GOOD), failed(one, 1)
    rows = [study, finals[0], failure, *finals[1:]] if later else [study, *finals, failure]
    whole = line([study, *finals])
    assert line(rows) == whole
    assert whole["n"] == 3


def test_a_failure_of_a_net_that_is_no_longer_the_best_takes_no_rank():
    one = searched("lstm")
    other = one.with_best(learning_rate=0.5)
    assert line([one.study(), *one.finals(*GOOD), failed(other, 0)])["rank_low"] == 1


def test_a_failed_row_says_why():
    row = failed(searched("lstm"), 0)
    del row["reason"]
    assert schema.fault(row) == "final: lacks reason"
