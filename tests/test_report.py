"""The report in a real browser: drawn, readable without JavaScript, on a phone, and true."""

from __future__ import annotations

import csv
import functools
import io
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ENV, command, refusal
from hypothesis import given
from hypothesis import strategies as st
from test_leaderboard import FAIR, GOOD, POOR, at_random, searched
from world import World

from drnn_bench.board import columns
from drnn_bench.cli.report import report
from drnn_bench.execution.carry import finish
from drnn_bench.jobs.finals import FinalJob
from drnn_bench.models.registry import make_architecture
from drnn_bench.report.chart import COLOURS
from drnn_bench.report.drawing import _seen, draw, levels
from drnn_bench.report.files import write_figures
from drnn_bench.report.final_charts import accuracy_by_parameters, learning_curves, pareto_front
from drnn_bench.report.group import Group
from drnn_bench.report.page import page
from drnn_bench.report.sections import make_sections, warnings
from drnn_bench.report.trial_charts import _best_steps, best_so_far, mrl_against_metric
from drnn_bench.results import records
from drnn_bench.results.ranking import build
from drnn_bench.search.importance import importance
from drnn_bench.search.study import open_study
from drnn_bench.search.summary import study_row, summarise

Row = dict[str, Any]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
HOSTILE = "</script><img src=x onerror=alert(1)>&amp;"
EARLIER = Path(__file__).parent / "data" / "pixel_digits.jsonl"  # four families, no curves yet


# -- the page in a browser -----------------------------------------------------------------------


def random_search(folder: Path) -> list[Row]:
    """The rows of a real random search of dilated RNNs, and of its finalist's two seeds."""
    world = World(folder, families=("dilated_rnn",), sampler="random", pruner="none", trials=17,
                  steps=3)  # fmt: skip
    world.search()
    [spec], plan = world.plan.specs, world.plan
    study = open_study(world.storage, spec, plan.task)
    summary = summarise(study, spec, plan.task.direction)
    summary["importance"] = importance(study, spec.make_space())
    rows = [study_row(spec, plan.task, summary, "cpu") | {"started": records.now()}]
    jobs = [FinalJob(spec=spec, best=summary["best"], seed=seed, device="cpu") for seed in (1, 2)]
    return rows + [finish(job, plan.prepared).row for job in jobs]


def awkward_rows() -> list[Row]:
    """One seed, none, all diverged, another metric, and names that would like to be HTML."""
    task = "copy_memory:T=5"
    one, none = searched("lstm", task=task), searched("gru", task=task)
    lost, odd = searched("rnn", task=task), searched("dilated_rnn", task=task)
    named = {"architecture": HOSTILE, "study": HOSTILE, "processor": HOSTILE}
    timed = {"architecture": HOSTILE, "study": HOSTILE}
    return [
        one.study(), *one.finals(0.5), one.speed(10.0, machine="busy"),
        none.study(ended=HOSTILE),
        lost.study(), *lost.finals(None, None),
        odd.study(**named), *(row | named for row in odd.finals(0.1, 0.2)), odd.speed(9.0) | timed,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    rows, _ = records.read(EARLIER)
    rows += random_search(folder / "search") + awkward_rows()
    records.append(folder / "runs" / "records.jsonl", rows)
    with (folder / "runs" / "records.jsonl").open("a") as file:
        file.write('{"torn')
    done = subprocess.run(
        command("report", "--runs-dir", "runs"), cwd=folder, env=ENV, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "not a whole row" in done.stderr
    assert "Written to report.html" in done.stdout
    return folder


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page as somebody opened it, with everything that it said and asked for."""

    def __init__(self, browser, path: Path, width: int, scripts: bool = True, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=scripts,
            color_scheme=scheme, offline=True,
        )  # fmt: skip
        self.page, self.said, self.asked = context.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        if scripts:
            self.page.wait_for_selector("html[data-drawn]", state="attached")

    def all(self, selector: str, what: str) -> list[Any]:
        """`what`, a JavaScript expression of `e`, for every element."""
        return self.page.eval_on_selector_all(selector, f"all => all.map(e => {what})")


@pytest.fixture(scope="module")
def wide(browser, runs) -> Visit:
    return Visit(browser, runs / "report.html", 1280)


@pytest.fixture(scope="module")
def phone(browser, runs) -> Visit:
    return Visit(browser, runs / "report.html", 360, scheme="dark")


@pytest.fixture(scope="module")
def plain(browser, runs) -> Visit:
    return Visit(browser, runs / "report.html", 360, scripts=False)


def test_the_page_is_one_small_file_that_asks_for_nothing_and_complains_of_nothing(wide, phone):
    path = Path(wide.page.url.removeprefix("file://"))
    assert path.stat().st_size < 3e6
    for visit in (wide, phone):
        assert visit.said == []
        assert visit.asked == [visit.page.url]


def test_every_chart_is_drawn(wide):
    drawn = wide.all(".chart", "e.querySelectorAll('svg.main-svg').length")
    assert drawn
    assert min(drawn) > 0
    assert wide.page.evaluate("+document.documentElement.dataset.drawn") == len(drawn)
    marks = "[...e.querySelectorAll('.trace path, .trace .point')].length"
    assert min(wide.all(".chart", marks)) > 0
    keys = set(wide.all("section:has(> figure > .chart)", "e.dataset.chart"))
    assert keys == {"parameters", "pareto", "curves", "mrl", "best-by-trials", "best-by-time",
                    "importance", "start-accuracy", "start-time"}  # fmt: skip


def test_the_buttons_of_a_chart_have_names_and_none_sends_it_anywhere(wide):
    names = "[...e.querySelectorAll('button')].map(b => b.ariaLabel).join()"
    assert set(wide.all(".chart", names)) == {
        "Download plot as a PNG,Zoom,Pan,Zoom in,Zoom out,Reset axes"
    }


def tables(visit: Visit, selector: str) -> list[list[list[str]]]:
    cells = "[...e.rows].map(r => [...r.cells].map(c => c.textContent))"
    return visit.all(selector, cells)


def test_the_boards_are_those_of_the_csv(wide, runs):
    board = build(records.read(runs / "runs" / "records.jsonl")[0])
    expected = list(csv.DictReader(io.StringIO(columns.to_csv(board))))
    shown = []
    for head, *rows in tables(wide, ".board table"):
        shown += [dict(zip(head, row, strict=True)) for row in rows]
    assert len(shown) == len(expected)
    for seen, line in zip(shown, expected, strict=True):
        assert seen["family"] == line["family"]
        assert seen["architecture"] == line["architecture"]
        assert seen["parameters"].replace(",", "") == line["parameters"]
        assert seen["n"] == line["n"]
        low, high = line["rank_low"], line["rank_high"]
        assert seen["rank"] == (low if low == high else f"{low}–{high}") or not low
        test = next(value for title, value in seen.items() if title.startswith("test "))
        if line["test_mean"]:
            digits, scale = (1, 100) if line["metric"] == "accuracy" else (4, 1)
            assert test.split(" ± ")[0] == f"{scale * float(line['test_mean']):.{digits}f}"
            assert ("±" in test) == (int(line["n"]) > 1)  # no interval is invented
        else:
            assert test == ("diverged" if int(line["diverged_finals"]) else "search only")
        if line["train_per_s"]:
            assert seen["train seq/s"] == f"{float(line['train_per_s']):,.0f}"


def test_a_chart_shows_what_its_table_says(wide):
    spec = "JSON.parse(e.querySelector('script').textContent).data"
    for key, y in (("parameters", 3), ("mrl", 2), ("start-accuracy", 2)):
        for data, [_, *rows] in zip(
            wide.all(f"[data-chart={key}]:has(.chart) figure", spec),
            tables(wide, f"[data-chart={key}]:has(.chart) table"),
            strict=True,
        ):
            drawn = sorted(value for trace in data for value in trace["y"])
            told = sorted(float(row[y].split(" ± ")[0]) for row in rows)
            assert drawn == pytest.approx(told, abs=0.051)
    [data] = wide.all("[data-chart=parameters] figure", spec)[-1:]
    assert all("error_y" in trace for trace in data)  # three seeds each


def test_the_random_search_is_put_to_the_test_of_mrl(wide):
    [said] = [x for x in wide.all("[data-chart=mrl] figcaption", "e.textContent") if "n =" in x]
    assert "counts edges, not gradient decay" in said
    assert "dilated_rnn rnn: " in said
    assert len(wide.all("[data-chart=mrl]", "e")) == 3  # the others say what to run
    other = wide.all("[data-chart=mrl]:not(:has(.chart)) figcaption", "e.textContent")
    assert all("--sampler random --pruner none" in x for x in other)


def test_no_text_becomes_markup(wide):
    assert wide.all("img", "e.outerHTML") == []
    assert HOSTILE in wide.page.inner_text("body")
    assert any(HOSTILE in x for x in wide.all(".warnings li", "e.textContent"))
    shown = wide.all("svg text, svg title", "e.textContent")
    assert not any("&lt;" in text for text in shown)


def test_the_warnings_are_all_there(wide):
    said = " ".join(wide.all(".warnings li", "e.textContent"))
    for words in (
        "not a whole row", "lstm: one seed only (n = 1)", "gru: search only", "BUSY",
        "rnn: all diverged: 2 finals diverged", "edge of its range (kernel)",
    ):  # fmt: skip
        assert words in said


def test_without_javascript_every_table_is_open_and_no_place_is_left_for_charts(plain, wide):
    assert plain.asked == [plain.page.url]
    tables_ = plain.page.locator("table")
    assert tables_.count() == wide.page.locator("table").count() > 10
    assert all(tables_.nth(i).is_visible() for i in range(tables_.count()))
    charts = plain.page.locator(".chart")
    assert charts.count() > 5
    assert not any(charts.nth(i).is_visible() for i in range(charts.count()))
    drawings = plain.page.locator("svg[role=img]").count()  # they need none
    assert drawings == wide.page.locator("svg[role=img]").count() > 0


def test_a_phone_scrolls_down_and_never_sideways(phone, plain):
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360
    # Without scripts nothing can be asked of the page: the widest picture of it is as wide.
    shot = plain.page.screenshot(full_page=True)
    assert int.from_bytes(shot[16:20], "big") == 360  # a PNG's width
    wide_ones = phone.all(".chart", "e.getBoundingClientRect().right")
    assert max(wide_ones) <= 360


def test_the_page_can_be_read_by_ear_and_walked_by_keyboard(wide):
    page = wide.page
    assert page.get_attribute("html", "lang") == "en"
    found = [int(x[1]) for x in wide.all("h1, h2, h3, h4, h5, h6", "e.tagName")]
    assert found.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(found))
    assert all(wide.all("table", "e.caption?.textContent"))
    assert set(wide.all("th", "e.scope")) == {"col", "row"}
    assert all(wide.all("tbody tr", "e.querySelectorAll('th[scope=row]').length === 1"))
    assert all(wide.all(".chart", "e.getAttribute('aria-label')"))
    assert all(wide.all("svg[role=img]", "e.querySelector('title').textContent"))
    assert set(wide.all(".scroll", "e.tabIndex + e.getAttribute('role')")) == {"0region"}
    ids = wide.all("section[id], main[id]", "e.id")
    assert len(ids) == len(set(ids))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the boards"
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def luminance(colour: list[int]) -> float:
    parts = [c / 255 for c in colour]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(a: list[int], b: list[int]) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def rgb(text: str) -> list[int]:
    if text.startswith("#"):
        return [int(text[i : i + 2], 16) for i in (1, 3, 5)]
    return [int(part) for part in text.removeprefix("rgb(").rstrip(")").split(",")]


def test_text_and_colours_stand_out_in_light_and_dark(wide, phone):
    grounds = []
    for visit in (wide, phone):
        style = "[getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        [[ink, ground]] = visit.all("body", style)
        grounds.append(luminance(rgb(ground)))
        assert contrast(rgb(ink), rgb(ground)) > 7
        for selector in (".prose", "figcaption", "summary"):
            assert contrast(rgb(visit.all(selector, style)[0][0]), rgb(ground)) > 4.5
        assert all(contrast(rgb(a), rgb(b)) > 4.5 for a, b in visit.all(".warnings", style))
        assert all(contrast(rgb(colour), rgb(ground)) > 3 for colour in COLOURS)
        fill = visit.all(".chart .xtick text", "getComputedStyle(e).fill")
        assert contrast(rgb(fill[0]), rgb(ground)) > 4.5  # the charts follow the page
    assert grounds[0] > 0.9
    assert grounds[1] < 0.1


# -- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"runs_dir": "nowhere"}, "nothing has been run yet in nowhere"),
        ({"task": "pixel_digit"}, "did you mean 'pixel_digits'?"),
        ({"output": "no/such/folder.html"}, "output no/such/folder.html: cannot be written"),
        ({"output": "runs"}, "output runs: is a folder; name a file"),
        ({"figures": "runs/records.jsonl"}, "figures runs/records.jsonl: cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_one_line(tmp_path, monkeypatch, words, said):
    one = searched()
    records.append(tmp_path / "runs" / "records.jsonl", [one.study(), *one.finals(*GOOD)])
    monkeypatch.chdir(tmp_path)
    assert said in refusal(functools.partial(report, **words))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_folder_without_results_exits_with_2(bench):
    done = bench("report", code=2)
    assert done.stderr == "bench: nothing has been run yet in runs: `bench run` first\n"


def test_figures_are_svg_files_that_say_what_they_show(tmp_path):
    pytest.importorskip("matplotlib")
    rows, _ = records.read(EARLIER)
    sections = make_sections(build(rows), rows)
    count = write_figures(sections, tmp_path / "figs")
    files = {path.name: path.read_text() for path in (tmp_path / "figs").iterdir()}
    assert len(files) == count
    assert {"pixel_digits-800-parameters.svg", "pixel_digits-800-5000-pareto.svg",
            "pixel_digits-800-5000-dilations-2-dilated_rnn.svg"} <= files.keys()  # fmt: skip
    for text in files.values():
        assert ET.fromstring(text).tag.endswith("svg")
        assert not re.search(r'(?:href|src)="http', text)
    pareto = files["pixel_digits-800-5000-pareto.svg"]
    assert "clockwork_rnn" in pareto
    assert ">pixel_digits, at most 5,000 parameters, 800 steps<" in pareto
    write_figures(sections, tmp_path / "again")
    assert files == {path.name: path.read_text() for path in (tmp_path / "again").iterdir()}


def test_without_matplotlib_the_figures_say_what_to_install(tmp_path, monkeypatch):
    one = searched()
    rows = [one.study(), *one.finals(*GOOD)]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = refusal(write_figures, make_sections(build(rows), rows), tmp_path)
    assert said == "--figures needs matplotlib: pip install 'drnn-bench[figures]'"


# -- what is drawn -------------------------------------------------------------------------------


def group(rows: list[Row]) -> Group:
    return make_sections(build(rows), rows)[0].boards[0].group


speeds = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(st.lists(speeds, max_size=8), st.sampled_from(["max", "min"]))
def test_the_front_is_what_no_other_beats_in_both(drawn, direction):
    lines = [
        {"train_per_s": speed, "test_mean": metric, "direction": direction, "id": i}
        for i, (speed, metric) in enumerate(drawn)
    ]
    sign = 1 if direction == "max" else -1

    def dominates(a: Row, b: Row) -> bool:
        gain, quality = a["train_per_s"] - b["train_per_s"], a["test_mean"] - b["test_mean"]
        return gain >= 0 and sign * quality >= 0 and (gain, quality) != (0, 0)

    expected = {x["id"] for x in lines if not any(dominates(y, x) for y in lines)}
    front = pareto_front(lines)
    assert {x["id"] for x in front} == expected
    assert [x["train_per_s"] for x in front] == sorted(x["train_per_s"] for x in front)


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
    html = page(make_sections(build(rows), rows), [], "today")
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
        f"lstm (tpe, asha, seed 0, study {one.spec.identity})",
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
    looks = [beside.look(line) for line in beside.lines if line["family"] == "lstm"]
    assert len({hue for hue, _ in looks}) == 1
    assert len({mark for _, mark in looks}) == 2
    assert len({hue for hue, _ in map(alone.look, alone.lines)}) == 2


def test_a_budget_of_one_family_compares_nothing():
    one, other = searched(), searched("gru")
    alone = at_random(searched(budget=2000, width=12))
    rows = [x for s in (one, other, alone) for x in (s.study(), *s.finals(*GOOD))]
    section = make_sections(build(rows), rows)[0]
    whole = next(chart for chart in section.charts if chart.key == "parameters")
    assert [series.name for series in whole.series] == ["gru", "lstm"]
    assert "Left out, with one family alone: 2,000." in whole.caption
    mine = accuracy_by_parameters(group([alone.study(), *alone.finals(*GOOD)]))
    assert len(mine.series) == 1  # where nothing else was run, it is shown


def test_budgets_stand_side_by_side_and_other_data_apart():
    small, large = searched(budget=1000), searched(budget=2000, width=12)
    other = searched(data_hash="fedcba9876543210")
    rows = [x for s in (small, large, other) for x in (s.study(), *s.finals(*GOOD))]
    sections = make_sections(build(rows), rows)
    assert [len(section.boards) for section in sections] == [2, 1]
    assert [section.title for section in sections] == [
        "pixel_digits, 100 steps (version 1, data 0123456789abcdef)",
        "pixel_digits, 100 steps (version 1, data fedcba9876543210)",
    ]
    small, longer = searched(budget=1000), searched(budget=1000, steps=800)
    rows = [x for s in (small, longer) for x in (s.study(), *s.finals(*GOOD))]
    titles = [section.title for section in make_sections(build(rows), rows)]
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


@pytest.mark.parametrize("family", ["dilated_rnn", "clockwork_rnn", "s4d", "min_gru", "gru"])
def test_any_familys_drawing_is_whole(family):
    config = make_architecture(family, input_size=1, output_size=1, width=16).config
    root = ET.fromstring(draw(family, json.loads(json.dumps(config)), 64))
    texts = [e.text for e in root.iter() if e.tag.endswith("}text")]
    assert texts[0] == "input"
    assert "T" in texts
    nodes = [e.get("d") for e in root.iter() if e.get("stroke-width") == "6"]
    places = [float(x) for path in nodes for x in re.findall(r"M(\d+) \d+h0", path)]
    assert len(places) >= 33
    assert 0 < min(places) < max(places) < float(root.get("width"))
