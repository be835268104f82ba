"""Renderings of a board: JSON, CSV and Markdown, and what its caption says."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest

from drnn_bench.board import columns, renderings
from drnn_bench.board.cells import MISSING
from drnn_bench.results.board_line import as_records
from drnn_bench.results.ranking import rank_rows, select
from drnn_bench.results.recipe import Recipe
from tests.support.markdown import table, tables
from tests.support.searched import (
    FAIR,
    GOOD,
    POOR,
    at_random,
    different_studies,
    flat,
    on_two_machines,
    searched,
    three,
)


def test_a_board_says_what_it_left_out_and_why():
    first = searched(width=8)
    better = first.with_best(config=first.best["config"] | {"width": 9})
    wide, later = searched(budget=2000, steps=200), searched(version=2)
    rows = [first.study(), *first.finals(*POOR), better.study(), *better.finals(*GOOD),
            wide.study(), *wide.finals(*FAIR), later.study(), *later.finals(*FAIR)]  # fmt: skip
    text = renderings.to_markdown(select(rank_rows(rows), budget=1000))
    assert "Left out: lstm (3 finals of a net that is no longer the best)." in text
    assert "Ranked apart, never with these: task version 2; 2,000 parameters, 200 steps." in text


def test_the_correlation_with_mrl_stands_below_the_board_of_a_random_search():
    one = at_random(searched())
    trials = [{"index": i, "value": 0.9 - 0.1 * i, "mrl": 3.0 + i, "config": {}, "learning_rate": 1}
              for i in range(4)]  # fmt: skip
    board = rank_rows([one.study(complete=trials)])
    assert board[0].first.mrl_correlation["lstm"].rho == pytest.approx(-1)
    assert "over random trials, lstm: -1.00 (n = 4, no interval)" in renderings.to_markdown(board)


def test_the_caption_names_the_hardware_of_the_speeds_that_are_shown():
    rows, order = three()
    text = renderings.to_markdown(rank_rows(on_two_machines(rows, order[0])))
    assert "Speed: Processor A" in text
    assert "Speed: Processor B" not in text
    assert f"Left out: {order[0]} (speed measured elsewhere (Processor B" in text


def test_a_busy_machine_is_said_to_have_been_busy():
    one = searched()
    rows = [one.study(), *one.finals(*GOOD)]
    assert "on an idle machine" in renderings.to_markdown(rank_rows([*rows, one.speed(1.0)]))
    assert "BUSY" in renderings.to_markdown(rank_rows([*rows, one.speed(1.0, machine="busy")]))


JSON_KEYS = (
    {"rank_low", "rank_high", "task", "family", "architecture", "config", "budget", "parameters"}
    | {"width", "metric", "direction", "test_mean", "test_low", "test_high", "n"}
    | {"validation_best", "train_per_s", "infer_per_s", "speed_ratio", "mrl", "reach"}
    | {"recurrent_edges_per_node", "sequential_steps", "trials"}
    | {"macs_per_step", "state_bytes", "weight_bytes"}
)


WHOLE = {"rank_low", "rank_high", "budget", "parameters", "width", "n", "reach",
         "sequential_steps", "steps", "task_version", "mrl_horizon", "diverged_finals"}  # fmt: skip


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_json_has_every_promised_key_and_is_strict_json():
    rows, order = three()
    untested = searched("clockwork_rnn", modules=2)
    text = renderings.to_json(rank_rows([*flat(rows), untested.study()]))
    found = json.loads(text, parse_constant=refuse)
    assert [x["family"] for x in found] == [*order, "clockwork_rnn"]
    for one in found:
        assert one.keys() >= JSON_KEYS
        assert one["trials"] == {
            "complete": 3, "pruned": 2, "diverged": 1, "failed": 0, "infeasible": 0, "duplicate": 0,
        }  # fmt: skip
        for key in WHOLE:
            assert one[key] is None or type(one[key]) is int, (key, one[key])
        assert isinstance(one["config"], dict)
    by_family = {x["family"]: x for x in found}
    assert by_family["dilated_cnn"]["mrl"] == "inf"  # it sees 3 steps back, of 63
    assert by_family["dilated_cnn"]["reach"] == 3
    assert by_family["lstm"]["reach"] is None
    assert by_family["clockwork_rnn"]["rank_low"] is None
    assert by_family["clockwork_rnn"]["test_mean"] is None
    assert by_family["lstm"]["config"] == searched("lstm").best["config"]


NESTED = ("config", "trials", "recipe", "space", "tests", "on_edge", "mrl_correlation", "left_out",
          "apart")  # fmt: skip


def test_csv_has_a_line_a_study_and_its_nested_cells_are_json():
    rows, order = three()
    board = rank_rows(flat(rows))
    found = list(csv.DictReader(io.StringIO(renderings.to_csv(board))))
    assert [x["family"] for x in found] == order
    assert found[0].keys() == set(as_records(board)[0])
    for text, line_ in zip(found, as_records(board), strict=True):
        for key in NESTED:
            assert json.loads(text[key]) == line_[key]
        assert int(text["rank_low"]) == line_["rank_low"]
        assert float(text["test_mean"]) == line_["test_mean"]
    assert (found[2]["mrl"], found[1]["reach"]) == ("inf", "")


def test_markdown_is_a_table_with_as_many_cells_in_each_row():
    rows, order = three()
    untested = searched("clockwork_rnn", modules=2)
    cells = table(renderings.to_markdown(rank_rows([*flat(rows), untested.study()])))
    assert len(cells) == 2 + 4
    # Accuracy stands once, each family too, each family was searched once, no random search has
    # been run (two columns), no span is needed, the task does not say what solved is, random mean
    # and gain are of protocol 1, and speeds of all steps and all cores (four columns) were not
    # measured.
    assert {len(row) for row in cells} == {len(columns.COLUMNS) - 13}
    head, rule, *body = cells
    assert all(set(cell) <= set(":-") and "-" in cell for cell in rule)
    assert [row[1] for row in body] == [*order, "clockwork_rnn"]
    shown = [dict(zip(head, row, strict=True)) for row in body]
    assert [row["rank"] for row in shown] == ["1", "2", "3", MISSING]
    assert shown[0]["test accuracy % ↑"] == "95.1 ± 0.2"
    assert shown[0]["speed/lstm"] == "0.40x"
    assert shown[2]["MRL"] == "∞"
    assert shown[3]["test accuracy % ↑"] == "search only"
    assert shown[3]["train seq/s"] == MISSING
    assert shown[0]["trials"] == "3+2 (1 diverged)"


def test_a_page_shows_six_columns_and_folds_the_others():
    rows, order = three()
    text = renderings.to_markdown(rank_rows(flat(rows)))
    (head, _, *body), whole = tables(text)
    assert head == [
        "rank", "family", "test accuracy % ↑", "parameters", "train seq/s", "architecture",
    ]  # fmt: skip
    assert [row[1] for row in body] == order
    for short, long in zip(body, whole[2:], strict=True):
        assert set(short) <= set(long)
    folded = text[text.index("<details>") : text.index("</details>")]
    assert folded.count("| lstm ") == 1
    assert "bench run --task pixel_digits" in folded


def test_markdown_of_a_loss_counts_in_nats_downwards():
    one = searched(task="copy_memory:T=5")
    cells = table(renderings.to_markdown(rank_rows([one.study(), *one.finals(1.25, 1.75)])))
    [row] = cells[2:]
    shown = dict(zip(cells[0], row, strict=True))
    assert shown["test nats ↓"].startswith("1.5000 ± ")
    assert shown["test s.e."] == MISSING


def test_shared_ranks_are_shown_as_a_range():
    one, other = searched("lstm"), searched("dilated_rnn")
    rows = [one.study(), *one.finals(0.8), other.study(), *other.finals(0.7)]
    assert [row[0] for row in table(renderings.to_markdown(rank_rows(rows)))[2:]] == ["1–2", "1–2"]


def test_the_caption_says_what_one_must_know():
    edgy = searched().with_best(on_edge=["depth"])
    rows = [edgy.study(), *edgy.finals(0.8, 0.9, None), edgy.speed(3.0)]
    text = renderings.to_markdown(rank_rows(rows))
    for said in (
        "3 fresh seeds",
        "over seeds and over test examples, beyond a margin of 0.2 points",
        "Holm",
        "Conditional on one search per family",
        Recipe().words,
        "Sampler tpe, pruner asha",
        "spans 1 to 63",
        "not gradient decay",
        "Processor A",
        "edge of its range: lstm (depth)",
        "diverged, in the mean as the worst: lstm (1)",
        "0123456789abcdef",
        "bench run --task pixel_digits --family lstm --budget 1000 --steps 100 --trials 5",
    ):
        assert said in text


@pytest.mark.parametrize("render", [renderings.to_csv, renderings.to_markdown, renderings.to_json])
def test_the_order_of_studies_in_the_records_does_not_matter(render):
    rows = different_studies()
    text = render(rank_rows(flat(rows)))
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert render(rank_rows(flat(rows))) == text


def test_the_order_of_studies_without_finals_does_not_matter_where_they_tie():
    one, other = searched("lstm").study(), searched("dilated_rnn").study()
    assert renderings.to_csv(rank_rows([one, other])) == renderings.to_csv(rank_rows([other, one]))


def test_accuracy_stands_beside_another_metric_and_guessing_below_it():
    one = searched("lstm", task="copy_memory:T=500")
    text = renderings.to_markdown(rank_rows([one.study(), *one.finals(*GOOD)]))
    head = table(text)[0]
    assert "test nats ↓" in head
    assert "accuracy %" in head
    assert "Guessing costs 2.0794." in text
