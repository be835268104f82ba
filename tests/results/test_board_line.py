"""The fields of a board's line: documented, one place for a column, the same in every form."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import math

import pytest

from drnn_bench.board import cells, columns, renderings
from drnn_bench.board.frame import to_frame
from drnn_bench.metrics.names import METRICS
from drnn_bench.metrics.registry import metric_type
from drnn_bench.results import board_line
from drnn_bench.results.board_line import BoardGroup, BoardLine, as_records, column_names
from drnn_bench.results.ranking import rank_rows, select
from tests.support.searched import FAIR, GOOD, POOR, flat, searched, three


def test_every_field_of_a_line_says_what_it_is_unless_its_name_does():
    source = inspect.getsource(board_line)
    (line,) = (x for x in ast.parse(source).body if getattr(x, "name", "") == "BoardLine")
    text = source.splitlines()
    bare = {
        field.target.id
        for field in line.body
        if isinstance(field, ast.AnnAssign)
        and "#" not in text[field.lineno - 1]
        and not text[field.lineno - 2].lstrip().startswith("#")
    }
    assert bare == {"task_version", "family", "metric", "recurrent_edges_per_node", "sampler",
                    "pruner", "search_seed", "test_mean", "test_high", "harness_version",
                    "git_commit"}  # fmt: skip


def test_csv_json_and_the_table_have_the_fields_in_their_order():
    groups = rank_rows(flat(three()[0]))
    # No plug-in, no span that is needed, one search, no task that says what solved is, no random
    # twin, no reference, no speeds of all steps or all cores, one metric, which is built in.
    absent = {"plugins", "path_lengths", "failed_finals", "searches", "search_seeds",
              "search_means", "solved", "solved_at", "random_trials", "gain_at_seconds",
              "random_seconds", "speed_reference", "metrics", "metric_facts"} | {
        f"{what}_{how}_per_s" for what in ("train", "infer") for how in ("all", "cores")
    }  # fmt: skip
    names = [x.name for x in dataclasses.fields(BoardLine) if x.name not in absent]
    assert column_names(groups[0].lines) == names
    assert renderings.to_csv(groups).splitlines()[0].split(",") == names
    assert [list(record) for record in json.loads(renderings.to_json(groups))] == [names] * 3
    assert list(to_frame(groups)) == names


def test_infinity_is_a_number_inside_and_a_word_outside():
    groups = rank_rows(flat(three()[0]))
    mrl = {line.family: line.mrl for line in groups[0].lines}
    assert mrl["dilated_cnn"] == math.inf
    records = {record["family"]: record["mrl"] for record in as_records(groups)}
    assert records == {**mrl, "dilated_cnn": "inf"}


def test_a_group_has_the_conditions_that_its_lines_share():
    one, other = searched(), searched(budget=2000, width=12)
    groups = rank_rows([one.study(), *one.finals(*GOOD), other.study(), *other.finals(*POOR)])
    assert [group.key for group in groups] == [
        ("pixel_digits", 1, "0123456789abcdef", budget, 100, 2) for budget in (1000, 2000)
    ]
    assert [group.apart for group in groups] == [["2,000 parameters"], ["1,000 parameters"]]
    assert {line.apart == group.apart for group in groups for line in group.lines} == {True}


def test_who_may_be_the_best_wins_and_where_nothing_is_ranked_the_first():
    one, tied, worse = searched("lstm"), searched("gru"), searched("dilated_rnn")
    rows = [one.study(), *one.finals(0.80, 0.84, 0.88),
            tied.study(), *tied.finals(0.81, 0.85, 0.89),
            worse.study(), *worse.finals(0.1, 0.101, 0.102)]  # fmt: skip
    [group] = rank_rows(rows)
    assert {line.family for line in group.winners} == {"lstm", "gru"}
    [group] = rank_rows([x.study() for x in (one, tied)])
    assert group.winners == group.lines[:1]


def test_selected_lines_keep_the_ranks_that_they_have_among_all():
    rows, order = three()
    groups = rank_rows(flat(rows))
    [group] = select(groups, family=order[-1])
    assert [line.rank_low for line in group.lines] == [3]
    assert group.lines[0] is groups[0].lines[2]


def test_a_column_is_one_entry(monkeypatch):
    """It appears in every rendering, and what it needs decides whether it is there."""
    added = columns.Column("seeds & more", 3, lambda line: f"<{line.n}>",
                           shown=lambda group: group.metric == "accuracy")  # fmt: skip
    monkeypatch.setattr(columns, "COLUMNS", (*columns.COLUMNS, added))
    digits, copy = searched(), searched(task="copy_memory:T=5")
    with_it = rank_rows([digits.study(), *digits.finals(*GOOD)])
    without = rank_rows([copy.study(), *copy.finals(*FAIR)])
    assert "seeds & more" in renderings.to_markdown(with_it)
    assert "&lt;3&gt;" in renderings.to_markdown(with_it)
    assert "seeds & more" not in renderings.to_markdown(without)


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_value_that_is_missing_has_one_sign_in_every_cell(value):
    assert {
        cells.number_text(value),
        cells.percent_text(value),
        *(cells.metric_text(metric_type(name).facts(), value) for name in METRICS),
        *(cells.gain_text(metric_type(name).facts(), value) for name in METRICS),
    } == {cells.MISSING}


def test_sorting_goes_by_the_direction_of_each_group():
    from drnn_bench.cli.boards import _sorted

    digits, copy = searched(), searched(task="copy_memory:T=5")
    digits_b, copy_b = searched("gru"), searched("gru", task="copy_memory:T=5")
    rows = [row for x, tests in ((digits, POOR), (digits_b, GOOD), (copy, POOR), (copy_b, GOOD))
            for row in (x.study(), *x.finals(*tests))]  # fmt: skip
    alone = searched("rnn").study()
    orders = {
        group.task: [line.test_mean for line in _sorted(group, "test_mean").lines]
        for group in rank_rows([*rows, alone])
    }
    assert orders["pixel_digits"] == [pytest.approx(0.951), pytest.approx(0.601), None]
    assert orders["copy_memory:T=5"] == [pytest.approx(0.601), pytest.approx(0.951)]


def test_a_group_is_as_good_as_its_lines():
    [group] = rank_rows(flat(three()[0]))
    assert BoardGroup(tuple(dataclasses.replace(x) for x in group.lines)) == group
    with pytest.raises(dataclasses.FrozenInstanceError):
        group.first.n = 9
