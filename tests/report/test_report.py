"""The report in a real browser: drawn, readable without JavaScript, on a phone, and true."""

from __future__ import annotations

import base64
import csv
import functools
import gzip
import io
import itertools
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from drnn_bench.board import renderings
from drnn_bench.cli.report import report
from drnn_bench.execution.carry import finish
from drnn_bench.jobs.finals import FinalJob
from drnn_bench.report.chart import COLOURS
from drnn_bench.report.files import write_figures
from drnn_bench.report.sections import make_sections
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows
from drnn_bench.search.importance import importance
from drnn_bench.search.study import open_study
from drnn_bench.search.summary import study_row, summarise
from tests.support.browser import Visit
from tests.support.command import ENV, ROOT, command
from tests.support.refused import refusal
from tests.support.searched import GOOD, searched
from tests.support.world import World

Row = dict[str, Any]
HOSTILE = "</script><img src=x onerror=alert(1)>&amp;"
EARLIER = ROOT / "tests" / "data" / "pixel_digits.jsonl"  # four families, no curves yet


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
    rows = [study_row(spec, plan.prepared, summary, "cpu") | {"started": records.now()}]
    jobs = [FinalJob(spec=spec, best=summary["best"], seed=seed, device="cpu") for seed in (1, 2)]
    return rows + [finish(job, plan.prepared).row for job in jobs]


def awkward_rows() -> list[Row]:
    """One seed, none, all diverged, another metric, and names that would like to be HTML."""
    task = "copy_memory:T=5"
    one, none = searched("lstm", task=task), searched("gru", task=task)
    lost, odd = searched("rnn", task=task), searched("dilated_rnn", task=task)
    larger = [searched(name, task=task, budget=2_000) for name in ("lstm", "gru")]
    named = {"architecture": HOSTILE, "study": HOSTILE, "processor": HOSTILE}
    timed = {"architecture": HOSTILE, "study": HOSTILE}
    return [
        one.study(), *one.finals(0.5), one.speed(10.0, machine="busy"),
        none.study(ended=HOSTILE),
        lost.study(), *lost.finals(None, None),
        *(row for two in larger for row in (two.study(), *two.finals(0.3, 0.4, 0.5))),
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
def wide(browser, runs) -> Visit:
    return Visit(browser, runs / "report.html", 1280).unfold()


@pytest.fixture(scope="module")
def phone(browser, runs) -> Visit:
    return Visit(browser, runs / "report.html", 360, scheme="dark").unfold()


@pytest.fixture(scope="module")
def plain(browser, runs) -> Visit:
    return Visit(browser, runs / "report.html", 360, scripts=False)


def test_the_page_is_one_small_file_that_asks_for_nothing_and_complains_of_nothing(wide, phone):
    path = Path(wide.page.url.removeprefix("file://"))
    assert path.stat().st_size < 3e6
    for visit in (wide, phone):
        assert visit.said == []
        assert visit.asked == [visit.page.url]


def test_the_first_screen_has_the_answer_and_folds_the_rest(browser, runs):
    visit = Visit(browser, runs / "report.html", 1280)
    first = visit.page.locator(".answer").first
    assert first.locator(".verdict").is_visible()
    # Of several budgets, all verdicts in a few words come first.
    assert visit.page.locator(".verdicts, .verdict").first.bounding_box()["y"] < 800
    assert first.locator(".short table").is_visible()
    assert not any(visit.all("details.question", "e.open"))
    open_tasks = visit.all("details.task", "e.open")
    assert open_tasks == [True] + [False] * (len(open_tasks) - 1)
    drawn = visit.all(".chart", "'begun' in e.dataset")
    assert any(drawn)
    assert not all(drawn)
    # One task at a time, found by its words, and its chart drawn when it opens.
    second = visit.page.locator("details.task").nth(1)
    visit.page.fill("#search", "COPY_memory")
    shown = [x for x in visit.all("details.task", "e.hidden ? '' : e.innerText") if x]
    assert all("copy_memory" in words for words in shown)
    visit.page.fill("#search", "")
    second.locator("summary").first.click()
    visit.page.wait_for_selector("#task-1[open]", state="attached")
    assert visit.all("details.task", "e.open").count(True) == 1
    assert visit.said == []


def test_every_chart_is_drawn(wide):
    drawn = wide.all(".chart", "e.querySelectorAll('svg.main-svg').length")
    assert drawn
    assert min(drawn) > 0
    assert wide.page.evaluate("+document.documentElement.dataset.drawn") == len(drawn)
    marks = "[...e.querySelectorAll('.trace path, .trace .point')].length"
    assert min(wide.all(".chart", marks)) > 0
    keys = set(wide.all("section:has(> figure > .chart)", "e.dataset.chart"))
    assert keys == {"parameters", "pareto", "curves", "mrl", "best-by-trials", "best-by-time",
                    "seconds", "importance", "start-accuracy", "start-time"}  # fmt: skip


def test_the_buttons_of_a_chart_have_names_and_none_sends_it_anywhere(wide):
    names = "[...e.querySelectorAll('button')].map(b => b.ariaLabel).join()"
    assert set(wide.all(".chart", names)) == {
        "Download plot as a PNG,Zoom,Pan,Zoom in,Zoom out,Reset axes"
    }


def tables(visit: Visit, selector: str) -> list[list[list[str]]]:
    cells = "[...e.rows].map(r => [...r.cells].map(c => c.textContent))"
    return visit.all(selector, cells)


def test_the_boards_are_those_of_the_csv(wide, runs):
    board = rank_rows(records.read(runs / "runs" / "records.jsonl")[0])
    expected = list(csv.DictReader(io.StringIO(renderings.to_csv(board))))
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
    packed = wide.page.locator("#figures").text_content()
    figures = json.loads(gzip.decompress(base64.b64decode(packed)))

    def drawn_as(key):
        numbers = wide.all(f"[data-chart={key}] .chart", "e.dataset.figure")
        return [figures[int(number)]["data"] for number in numbers]

    for key, y in (("parameters", 3), ("mrl", 2), ("start-accuracy", 2)):
        for data, [_, *rows] in zip(
            drawn_as(key),
            tables(wide, f"[data-chart={key}]:has(.chart) table"),
            strict=True,
        ):
            drawn = sorted(value for trace in data for value in trace["y"])
            told = sorted(float(row[y].split(" ± ")[0]) for row in rows)
            assert drawn == pytest.approx(told, abs=0.051)
    [data] = drawn_as("parameters")[-1:]
    assert any("error_y" in trace for trace in data)


def test_the_random_search_is_put_to_the_test_of_mrl(wide):
    [said] = [x for x in wide.all("[data-chart=mrl] figcaption", "e.textContent") if "n =" in x]
    assert "counts edges, not gradient decay" in said
    assert "dilated_rnn rnn: " in said
    assert len(wide.all("[data-chart=mrl]", "e")) == 1  # none that only says what is missing


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


def test_without_javascript_every_table_opens_and_no_place_is_left_for_charts(plain, wide):
    assert plain.asked == [plain.page.url]
    assert plain.page.locator("table").count() == wide.page.locator("table").count() > 10
    assert not plain.page.locator(".search").is_visible()
    tasks = plain.page.locator("details.task")
    for i in range(tasks.count()):
        if i:  # the first is open
            tasks.nth(i).locator("summary").first.click()
        questions = tasks.nth(i).locator("details.question")
        for j in range(questions.count()):
            questions.nth(j).locator("summary").first.click()
        shown = tasks.nth(i).locator("table")
        assert all(shown.nth(j).is_visible() for j in range(shown.count()))
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
    assert set(wide.all(".scroll, pre", "e.tabIndex + e.getAttribute('role')")) == {"0group"}
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


def test_a_folder_without_results_exits_with_2(typed):
    done = typed("report", code=2)
    assert done.stderr == "bench: nothing has been run yet in runs: `bench run` first\n"


def test_figures_of_boards_that_differ_in_their_protocol_alone_have_names_of_their_own(tmp_path):
    pytest.importorskip("matplotlib")
    rows, _ = records.read(ROOT / "leaderboards" / "records" / "pixel_digits.jsonl")
    rows = [x for x in rows if x["budget"] == 5_000 and x["family"] in ("lstm", "dilated_cnn")]
    ends = dict.fromkeys(("id", "study"), "-1")
    rows += [
        x | {"protocol": 1} | {key: x[key] + end for key, end in ends.items() if key in x}
        for x in rows
        if x["role"] != "candidate"
    ]
    write_figures(make_sections(rank_rows(rows), rows), tmp_path / "figs")
    names = {path.stem for path in (tmp_path / "figs").iterdir()}
    for protocol in (1, 2):
        assert f"pixel_digits-800-protocol-{protocol}-5000-pareto" in names


def test_figures_are_svg_files_that_say_what_they_show(tmp_path):
    pytest.importorskip("matplotlib")
    rows, _ = records.read(EARLIER)
    sections = make_sections(rank_rows(rows), rows)
    count = write_figures(sections, tmp_path / "figs")
    files = {path.name: path.read_text() for path in (tmp_path / "figs").iterdir()}
    assert len(files) == count
    assert {"pixel_digits-800-5000-pareto.svg",
            "pixel_digits-800-5000-dilations-2-dilated_rnn.svg"} <= files.keys()  # fmt: skip
    for text in files.values():
        assert ET.fromstring(text).tag.endswith("svg")
        assert not re.search(r'(?:href|src)="http', text)
    pareto = files["pixel_digits-800-5000-pareto.svg"]
    assert "clockwork_rnn" in pareto
    assert ">pixel_digits, at most 5,000 parameters, 800 steps, protocol 1<" in pareto
    write_figures(sections, tmp_path / "again")
    assert files == {path.name: path.read_text() for path in (tmp_path / "again").iterdir()}


def test_without_matplotlib_the_figures_say_what_to_install(tmp_path, monkeypatch):
    one = searched()
    rows = [one.study(), *one.finals(*GOOD)]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = refusal(write_figures, make_sections(rank_rows(rows), rows), tmp_path)
    assert said == "--figures needs matplotlib: pip install 'drnn-bench[figures]'"
