"""A board for a notebook: the texts of every other rendering, whatever rows are left of it."""

from __future__ import annotations

import re

import pytest

import drnn_bench
from drnn_bench.board.frame import to_frame
from drnn_bench.results.ranking import rank_rows
from tests.support.refused import refusal
from tests.support.searched import FAIR, GOOD, POOR, flat, one_of_each, searched, three


def board(rows):
    return to_frame(rank_rows(rows))


def test_a_board_has_the_short_columns_and_the_best_in_bold():
    style = drnn_bench.styled(board(flat(three()[0])))
    assert list(style.data.columns) == [
        "rank", "family", "test", "parameters", "train seq/s", "architecture"
    ]  # fmt: skip
    first = style.data.iloc[0]
    assert list(first[["rank", "family", "test", "train seq/s"]]) == [
        "1", "dilated_rnn", "95.1 ± 0.2 %", "40"
    ]  # fmt: skip
    html = style.to_html()
    assert "<caption>pixel_digits, at most 1,000 parameters, 100 steps</caption>" in html
    first, *others = html.partition("<tbody>")[2].split("</tr>")
    cell = re.search(r'id="(\w+)" [^>]*>dilated_rnn<', first)[1]
    bold = ",".join(re.findall(r"([^}]*)\{[^}]*font-weight: bold", html))
    assert f"#{cell}" in bold
    cell = re.search(r'id="(\w+)" [^>]*>lstm<', others[0])[1]
    assert f"#{cell}" not in bold
    assert 'class="row_heading' not in html  # no index


def test_several_boards_are_told_apart_and_a_filter_leaves_one():
    copy = searched("lstm", task="copy_memory:T=5")
    rows = flat([one_of_each(searched(), GOOD, 1.0), one_of_each(copy, FAIR, 1.0)])
    frame = board(rows)
    style = drnn_bench.styled(frame)
    assert list(style.data["board"]) == [
        "copy_memory:T=5, at most 1,000 parameters, 100 steps",
        "pixel_digits, at most 1,000 parameters, 100 steps",
    ]
    assert list(style.data["test"]) == ["0.8010 ± 0.0025 nats", "95.1 ± 0.2 %"]
    alone = drnn_bench.styled(frame[frame["task"] == "pixel_digits"])
    assert "board" not in alone.data
    assert list(alone.data["family"]) == ["lstm"]


def test_a_line_without_finals_or_speed_is_shown_all_the_same():
    one, none = searched(), searched("gru")
    style = drnn_bench.styled(board([one.study(), *one.finals(*POOR), none.study()]))
    assert list(style.data["test"]) == ["60.1 ± 0.2 %", "search only"]
    assert list(style.data["rank"]) == ["1", "–"]
    assert set(style.data["train seq/s"]) == {"–"}


def test_a_name_is_text_and_no_markup():
    one = searched()
    rows = [row | {"architecture": "<img src=x>\x1b[2J"} for row in (one.study(), *one.finals(0.5))]
    html = drnn_bench.styled(board(rows)).to_html()
    assert "&lt;img src=x&gt;\\x1b[2J" in html
    assert "<img" not in html


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda frame: frame[frame["n"] > 99], "an empty table has nothing to show"),
        (lambda frame: frame.drop(columns="budget"), "the table has no column 'budget': give rows "
         "of drnn_bench.leaderboard whole"),
    ],
)  # fmt: skip
def test_what_is_no_board_is_one_line(spoil, said):
    frame = board(flat(three()[0]))
    assert refusal(drnn_bench.styled, spoil(frame)) == said
