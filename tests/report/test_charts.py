"""What the report draws: fronts, curves, correlations, drawings of nets."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drnn_bench.models.registry import make_architecture
from drnn_bench.report.drawing import _seen, draw, levels
from drnn_bench.report.final_charts import accuracy_by_parameters, learning_curves, pareto_front
from drnn_bench.report.group import Group
from drnn_bench.report.overall_charts import over_tasks
from drnn_bench.report.page import page
from drnn_bench.report.sections import make_sections, warnings
from drnn_bench.report.time_charts import equal_seconds
from drnn_bench.report.trial_charts import _best_steps, best_so_far, mrl_against_metric
from drnn_bench.results.aggregate import together
from drnn_bench.results.board_line import BoardLine
from drnn_bench.results.ranking import rank_rows
from tests.support.searched import FAIR, GOOD, POOR, Row, at_random, searched


def group(rows: list[Row]) -> Group:
    return make_sections(rank_rows(rows), rows)[0].boards[0].group


speeds = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(st.lists(speeds, max_size=8), st.sampled_from(["max", "min"]))
def test_the_front_is_what_no_other_beats_in_both(drawn, direction):
    [line] = rank_rows([searched().study()])[0].lines
    lines = [
        replace(line, train_per_s=speed, test_mean=metric, direction=direction, study=str(i))
        for i, (speed, metric) in enumerate(drawn)
    ]
    sign = 1 if direction == "max" else -1

    def dominates(a: BoardLine, b: BoardLine) -> bool:
        gain, quality = a.train_per_s - b.train_per_s, a.test_mean - b.test_mean
        return gain >= 0 and sign * quality >= 0 and (gain, quality) != (0, 0)

    expected = {x.study for x in lines if not any(dominates(y, x) for y in lines)}
    front = pareto_front(lines)
    assert {x.study for x in front} == expected
    assert [x.train_per_s for x in front] == sorted(x.train_per_s for x in front)


def test_learning_curves_are_means_over_the_seeds_that_have_one():
    one = searched()
    bare = [{k: v for k, v in row.items() if k != "curve"} for row in one.finals(*GOOD)]
    rows = [one.study(), *bare]
    assert not learning_curves(group(rows)).series
    curves = [[[10, 0.25], [20, 0.5]], [[10, 0.75], [20, 1.0]]]
    finals = [row | {"curve": curve} for row, curve in zip(rows[1:], curves, strict=False)]
    chart = learning_curves(group([rows[0], *finals, *rows[3:]]))
    assert [(p.x, p.y) for p in chart.series[0].points] == [(10, 50.0), (20, 75.0)]
    assert chart.rows[0][1:] == ("10", "50.0", "25.0", "75.0", "2")


def test_at_equal_seconds_each_family_stands_where_it_was_when_the_fastest_had_ended():
    fast, slow = searched("lstm"), searched("gru")
    rows = [fast.study(), *fast.finals(0.7, 0.7), slow.study(), *slow.finals(0.9, 0.9)]
    points = {"lstm": [[50, 0.5], [100, 0.7]], "gru": [[50, 0.3], [100, 0.9]]}
    seconds = {"lstm": 4.0, "gru": 8.0}
    rows = [
        row | {"curve": points[row["family"]], "train_seconds": seconds[row["family"]]}
        if row["role"] == "final"
        else row
        for row in rows
    ]
    chart = equal_seconds(group(rows))
    assert chart.head[:2] == ("family", "after 4.0 s")
    # The better one at that moment first, though it is behind at the end.
    assert chart.rows == (
        ("lstm", "70.0", "70.0", "4.0", "+10.0"),
        ("gru", "30.0", "90.0", "8.0", "+30.0"),
    )
    by_name = {s.name: [(p.x, p.y) for p in s.points] for s in chart.series}
    assert by_name["gru"] == [(0, 10), (4, 30), (8, 90)]
    assert "lstm +10.0; gru +30.0." in chart.caption
    bare = [{k: v for k, v in row.items() if k != "curve"} for row in rows]
    assert equal_seconds(group(bare)).caption == "No finalist's curve is recorded."


def test_charts_over_tasks_show_what_is_computed_and_say_where_nothing_is():
    one, other, third = searched("lstm"), searched("gru"), searched("rnn")
    copy = {"task": "copy_memory:T=5"}
    rows = [row for x in (one, other) for row in (x.study(), *x.finals(0.7, 0.8))]
    rows += [row for x in (searched("lstm", **copy), searched("gru", **copy))
             for row in (x.study(), *x.finals(0.1, 0.2))]  # fmt: skip
    groups = rank_rows(rows)
    [found] = together(groups)
    means, profile = over_tasks(groups)
    assert {s.points[0].x: s.points[0].y for s in means.series} == {
        x.family: x.iqm for x in found.standings
    }
    assert profile.series[0].points[0].y == 100
    assert profile.series[0].points[-1].y == 0
    assert "Over tasks and budgets" in page(make_sections(groups, rows), [], "now")
    slow = searched("clockwork_rnn", modules=2, **copy)
    apart = [one.study(), *one.finals(0.7), third.study(), *third.finals(0.7), *rows[-3:],
             slow.study(), *slow.finals(0.3)]  # fmt: skip
    [said] = over_tasks(rank_rows(apart))
    assert (said.series, said.rows) == ((), ())
    assert "No two families have finals in all of them." in said.caption
    assert over_tasks(rank_rows(rows[:6])) == []


def trial(index: int, state: str, value: float | None, seconds: float = 3600.0) -> Row:
    return {"index": index, "state": state, "value": value, "seconds": seconds, "hours": 1.0}


def test_the_best_so_far_counts_every_trial_and_falls_where_less_is_better():
    history = [trial(1, "pruned", None), trial(0, "complete", 0.5), trial(2, "diverged", None),
               trial(3, "complete", 0.4), trial(4, "complete", 0.6)]  # fmt: skip
    steps = _best_steps({"direction": "max", "history": history, "complete": []})
    assert [(n, best) for n, _, best, _ in steps] == [(2, 0.5), (3, 0.5), (4, 0.5), (5, 0.6)]
    assert [seconds for _, seconds, _, _ in steps] == [7200, 10800, 14400, 18000]
    steps = _best_steps({"direction": "min", "history": history, "complete": []})
    assert [best for _, _, best, _ in steps] == [0.5, 0.5, 0.4, 0.4]
    one = searched()
    trials, time = best_so_far(group([one.study(history=history)]))
    assert (time.title, [p.x for p in time.series[0].points]) == (
        "Best so far against hours", [2, 3, 4, 5]
    )  # fmt: skip
    assert [row[1:] for row in trials.rows] == [("2", "2.00", "50.0"), ("5", "5.00", "60.0")]


def test_a_record_without_a_history_is_still_drawn_against_its_trials():
    one = searched()
    old = one.study(complete=[{"index": i, "value": v, "mrl": 3.0, "config": {}, "learning_rate": 1}
                              for i, v in enumerate((0.5, 0.7))])  # fmt: skip
    del old["history"], old["importance"]
    trials, time = best_so_far(group([old]))
    assert [p.y for p in trials.series[0].points] == [50.0, 70.0]
    assert (time.title, time.series, time.rows) == ("Best so far against hours", (), ())
    assert "earlier version" in time.caption


def test_a_value_that_is_no_number_is_shown_as_none():
    one = at_random(searched())
    complete = [{"index": i, "value": v, "mrl": 3.0 + i, "config": {}, "learning_rate": 1}
                for i, v in enumerate((0.5, math.nan, 0.7))]  # fmt: skip
    rows = [one.study(complete=complete, startup_mean=math.nan), *one.finals(0.5, math.nan)]
    html = page(make_sections(rank_rows(rows), rows), [], "today")
    assert "NaN" not in html.partition("<main")[2].partition("</main>")[0]
    chart = mrl_against_metric(group(rows))
    assert [row[2] for row in chart.rows] == ["50.0", "–", "70.0"]


def test_an_infinite_mrl_stands_apart_on_a_tick_of_its_own():
    one = at_random(searched("dilated_rnn"))
    complete = [{"index": i, "value": 0.5, "mrl": mrl, "config": one.best["config"],
                 "learning_rate": 1} for i, mrl in enumerate((4.0, "inf", 9.0))]  # fmt: skip
    chart = mrl_against_metric(group([one.study(complete=complete)]))
    x = [point.x for point in chart.series[0].points]
    assert max(x) == x[1] > 9.0
    assert chart.x.ticks[-1] == (x[1], "∞")
    assert [row[1] for row in chart.rows] == ["4.00", "9.00", "∞"]
    assert all(math.isfinite(value) for value in x)


def test_several_searches_of_a_family_are_told_apart():
    one, again = searched(), at_random(searched(), seed=7)
    twin = replace(one, spec=replace(one.spec, space={"learning_rate": 0.1}))
    rows = [x for s, tests in ((one, GOOD), (again, FAIR), (twin, POOR))
            for x in (s.study(), *s.finals(*tests))]  # fmt: skip
    names = [series.name for series in accuracy_by_parameters(group(rows)).series]
    assert names == [
        f"lstm (tpe, asha, seed 0, study {one.spec.digest})",
        "lstm (random, none, seed 7)",
        "lstm (tpe, asha, seed 0, learning_rate=0.1)",
    ]


def test_searches_that_fix_other_options_are_told_apart_by_these():
    one = searched("dilated_rnn")
    spaces = {"start": 2, "depth": 3}, {"start": 0, "depth": 3, "fusion": True}
    starts = [replace(one, spec=replace(one.spec, space=space)) for space in spaces]
    rows = [x for s in starts for x in (s.study(), *s.finals(*GOOD))]
    names = [series.name for series in accuracy_by_parameters(group(rows)).series]
    assert names == ["dilated_rnn (start=2)", "dilated_rnn (start=0, fusion=True)"]


def test_a_family_has_one_colour_beside_others_and_its_searches_each_their_mark():
    one = searched()
    twin = replace(one, spec=replace(one.spec, space={"learning_rate": 0.1}))
    mine, other = [one.study(), twin.study()], searched("gru").study()
    alone, beside = group(mine), group([*mine, other])
    looks = [beside.look(line) for line in beside.lines if line.family == "lstm"]
    assert len({hue for hue, _ in looks}) == 1
    assert len({mark for _, mark in looks}) == 2
    assert len({hue for hue, _ in map(alone.look, alone.lines)}) == 2


def test_a_budget_of_one_family_compares_nothing():
    one, other = searched(), searched("gru")
    alone = at_random(searched(budget=2000, width=12))
    rows = [x for s in (one, other, alone) for x in (s.study(), *s.finals(*GOOD))]
    section = make_sections(rank_rows(rows), rows)[0]
    whole = next(chart for chart in section.charts if chart.key == "parameters")
    assert {series.name for series in whole.series} == {"gru", "lstm"}
    assert "Left out, with one family alone: 2,000." in whole.caption
    mine = accuracy_by_parameters(group([alone.study(), *alone.finals(*GOOD)]))
    assert len(mine.series) == 1  # where nothing else was run, it is shown


def test_budgets_stand_side_by_side_and_other_data_apart():
    small, large = searched(budget=1000), searched(budget=2000, width=12)
    other = searched(data_hash="fedcba9876543210")
    rows = [x for s in (small, large, other) for x in (s.study(), *s.finals(*GOOD))]
    sections = make_sections(rank_rows(rows), rows)
    assert [len(section.boards) for section in sections] == [2, 1]
    assert [section.title for section in sections] == [
        "pixel_digits, 100 steps (version 1, data 0123456789abcdef, protocol 2)",
        "pixel_digits, 100 steps (version 1, data fedcba9876543210, protocol 2)",
    ]
    small, longer = searched(budget=1000), searched(budget=1000, steps=800)
    rows = [x for s in (small, longer) for x in (s.study(), *s.finals(*GOOD))]
    titles = [section.title for section in make_sections(rank_rows(rows), rows)]
    assert titles == ["pixel_digits, 100 steps", "pixel_digits, 800 steps"]
    [series] = sections[0].charts[0].series
    assert (series.name, len(series.points)) == ("lstm", 2)
    assert sections[0].charts[0].x.log


def test_trials_of_other_numbers_are_warned_of():
    one, other = searched(), replace(searched("gru"), complete=9)
    said = warnings(group([one.study(), other.study()]))
    assert "Not all rows have the same trials: 11, 5." in said


NETS = {
    "plain": ("lstm", {"depth": 2}),
    "dilated": ("dilated_rnn", {"cell": "rnn", "base": 2, "depth": 4}),
    "starting later": ("dilated_rnn", {"cell": "rnn", "base": 2, "depth": 2, "start": 2}),
    "with its convolution": (
        "dilated_rnn", {"cell": "gru", "base": 3, "depth": 2, "start": 1, "fusion": True},
    ),
    "listed": ("dilated_rnn", {"cell": "rnn", "dilations": (1, 5)}),
    "convolutions": ("dilated_cnn", {"base": 3, "depth": 3, "kernel": 2}),
    "residual blocks": ("tcn", {"base": 2, "depth": 2, "kernel": 3}),
    "skips": ("skip_rnn", {"skip": 4, "depth": 2}),
    "states behind convolutions": ("selective_ssm", {"kernel": 3, "depth": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_a_drawing_shows_strong_exactly_what_the_last_output_depends_on(name):
    family, options = NETS[name]
    net = make_architecture(family, input_size=1, output_size=2, width=8, **options)
    torch.manual_seed(0)
    x_BTI = torch.randn(4, 33, 1, dtype=torch.float64, requires_grad=True)
    net.build().double()(x_BTI, last=1).pow(2).sum().backward()
    reached = {int(t) for t in x_BTI.grad.abs().amax((0, 2)).nonzero()}
    assert _seen(levels(net), 33)[0] == reached


@pytest.mark.parametrize(
    "family", ["dilated_rnn", "clockwork_rnn", "s4d", "min_gru", "gru", "transformer", "gla"]
)
def test_any_familys_drawing_is_whole(family):
    config = make_architecture(family, input_size=1, output_size=1, width=16).config
    root = ET.fromstring(draw(family, json.loads(json.dumps(config)), 64))
    texts = [e.text for e in root.iter() if e.tag.endswith("}text")]
    assert texts[0] == "input"
    assert "T" in texts
    left, grid = re.findall(r"translate\((\d+) \d+\)scale\((\d+)\)", ET.tostring(root, "unicode"))[
        0
    ]
    nodes = [e.get("d") for e in root.iter() if e.get("stroke-width") == "0.75"]
    places = [int(x) * int(grid) for path in nodes for x in re.findall(r"M(\d+) \d+h0", path)]
    assert len(places) >= 33
    assert 0 < min(places) < max(places) < float(root.get("width")) - int(left)
