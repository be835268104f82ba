"""A board in a terminal."""

from __future__ import annotations

import io
import re

from rich.console import Console

from drnn_bench.board.terminal import print_board
from drnn_bench.board.verdict import by_board
from drnn_bench.results.ranking import rank_rows
from tests.support.searched import (
    GOOD,
    POOR,
    flat,
    one_of_each,
    searched,
    three,
)


def test_a_terminal_of_80_columns_shows_whole_cells_and_says_what_it_dropped():
    rows, order = three()
    console = Console(width=80, record=True, file=io.StringIO())
    print_board(console, rank_rows(flat(rows)))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    head = next(x for x in text.splitlines() if "family" in x)
    assert "test accuracy % ↑" in head
    assert "train seq/s ↑" in head
    assert "state bytes" in head
    assert re.search(r"--explain says how; --format markdown has \d+ more columns", text)
    below = text.splitlines()[text.splitlines().index(head) + 3]
    assert below.strip() == "cell=gru base=2 start=0 depth=9 width=8"
    cells = [x.split()[:2] for x in text.splitlines() if "fresh seeds" not in x]
    ranked = [x for x in cells if x[:1] in (["1"], ["2"], ["3"])]
    assert ranked == [[str(i), family] for i, family in enumerate(order, 1)]


def test_the_whole_caption_is_said_on_request_and_the_verdict_stands_last():
    board = rank_rows(flat(three()[0]))
    said = []
    for explain in (False, True):
        console = Console(width=80, record=True, file=io.StringIO())
        print_board(console, board, by_board(board, "runs"), explain)
        said.append(console.export_text())
    short, whole = said
    assert "Holm" not in short
    assert "Holm" in whole
    caption = short.partition("Mean of 3")[2].partition("Take dilated_rnn (")[0]
    assert len(caption.strip().splitlines()) == 3
    assert short.rstrip().endswith("bench report --task pixel_digits")


def test_a_terminal_marks_ties_and_what_is_best():
    one, other = searched("lstm"), searched("dilated_rnn")
    rows = [one.study(), *one.finals(0.80, 0.84), one.speed(9.0),
            other.study(), *other.finals(0.81, 0.85), other.speed(3.0)]  # fmt: skip
    console = Console(width=200, force_terminal=True, file=io.StringIO(), no_color=True)
    print_board(console, rank_rows(rows))
    text = console.file.getvalue()
    assert text.count("=1–2") == 2
    worse = searched("gru")
    console = Console(width=200, force_terminal=True, file=io.StringIO(), no_color=True)
    print_board(console, rank_rows([*one_of_each(one, GOOD, 3.0), *one_of_each(worse, POOR, 9.0)]))
    gru = next(x for x in console.file.getvalue().splitlines() if "gru" in x)
    assert "\x1b[1m" in gru.partition("gru")[2]  # its speed is the best
    assert "\x1b[1m" not in gru.partition("gru")[0]
