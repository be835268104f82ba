"""How far a search is, in lines for a log."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from drnn_bench.jobs import progress
from drnn_bench.jobs.progress import LONGEST, Progress, summary
from tests.support.searched import study_progress


def test_a_line_says_how_far_it_is_and_the_best_of_each_family():
    rows = [
        study_progress("lstm", 0.91, done=3),
        study_progress("lstm", 0.95, done=4),
        study_progress("rnn", 0.97, done=3),
    ]
    assert summary(rows, "90 trials/h, 12 min left") == (
        "search 10/72, 90 trials/h, 12 min left; best rnn 0.9700, lstm 0.9500"
    )
    assert summary([study_progress()], "") == "search 0/24"


def test_budgets_are_named_where_there_are_several_and_less_may_be_better():
    rows = [
        study_progress("lstm", 2.0, direction="min"),
        study_progress("rnn", 1.5, budget=2000, direction="min"),
    ]
    assert summary(rows, "") == "search 0/48; best rnn@2,000 1.5000, lstm@5,000 2.0000"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["lstm", "dilated_rnn", "clockwork_rnn", "s4d"]),
            st.sampled_from([500, 21_300, 10**9]),
            st.none() | st.floats(-1e6, 1e6),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_no_line_is_too_long_and_the_best_comes_first(studies):
    rows = [study_progress(family, value, budget=budget) for family, budget, value in studies]
    line = summary(rows, "1,575 trials/h, 12 min left")
    assert len(line) <= LONGEST
    values = [value for _, _, value in studies if value is not None]
    if values:
        assert f"{max(values):.4f}" in line


@pytest.fixture
def log(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    return Progress(Console(file=out, width=80)), clock, out


def test_a_line_comes_at_the_start_each_minute_and_at_the_end(log):
    shown, clock, out = log
    shown.begin(0)
    for second in range(150):
        clock[0] = 1000.0 + second
        shown.show([study_progress(value=0.9, done=min(24, second // 5))])
    lines = out.getvalue().splitlines()
    assert [line.split(",")[0].split(";")[0] for line in lines] == [
        "search 0/24", "search 12/24", "search 24/24"]  # fmt: skip


def test_the_first_failure_is_said_at_once_and_others_with_the_next_line(log):
    shown, clock, out = log
    shown.show([study_progress()])
    clock[0] += 1
    shown.show([study_progress(failure="no such file: a.csv")])
    said = "lstm at 5,000: 1 failed, the last: no such file: a.csv"
    assert out.getvalue().splitlines() == ["search 0/24", said]
    clock[0] += 1
    shown.show([study_progress(failure="another")])
    assert len(out.getvalue().splitlines()) == 2
    clock[0] += 61
    shown.show([study_progress(failure="another", done=1)])
    *_, failure, line = out.getvalue().splitlines()
    assert failure == "lstm at 5,000: 1 failed, the last: another"
    assert line.startswith("search 1/24, ")
