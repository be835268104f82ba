"""The report of the published boards, for everybody: by axe-core, on paper, and at first sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from drnn_bench.report.files import write_page
from drnn_bench.report.sections import make_sections
from drnn_bench.results import records
from drnn_bench.results.ranking import rank_rows, select
from tests.support.browser import Visit
from tests.support.command import ROOT

# Of axe's rules, those to which colours matter. They take most of its time, and a narrow screen has
# the colours of a wide one.
COLOURS = ["color-contrast", "link-in-text-block"]
ONLY_COLOURS = {"runOnly": COLOURS}
NO_COLOURS = {"rules": {rule: {"enabled": False} for rule in COLOURS}}
RULES = {1280: [("light", {}), ("dark", ONLY_COLOURS)], 390: [("light", NO_COLOURS)]}

FOLDED = "details.task:not([open]) > :not(summary)"  # hidden, and half of axe's time


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """The report of all published boards, and of one."""
    folder = tmp_path_factory.mktemp("published")
    rows, _ = records.read_folder(ROOT / "leaderboards")
    board, made = rank_rows(rows), {}
    for name, task in (("all", None), ("one", "char_text")):
        made[name] = folder / f"{name}.html"
        sections = make_sections(select(board, task=task, where="leaderboards"), rows)
        write_page(sections, [], "today", made[name])
    return made


@pytest.mark.parametrize("width", RULES)
@pytest.mark.parametrize("name", ["all", "one"])
def test_axe_finds_no_violation_in_light_and_in_dark(browser, pages, name, width):
    """Of all boards as the page opens, of one board with everything unfolded."""
    base = pytest.importorskip("axe_playwright_python.base", reason="axe-core is not installed")
    visit = Visit(browser, pages[name], width)
    if name == "one":
        visit.unfold()
    visit.page.evaluate(base.AXE_SCRIPT)
    for scheme, options in RULES[width]:
        visit.page.emulate_media(color_scheme=scheme)
        found = visit.page.evaluate(
            "([hidden, options]) => axe.run({exclude: hidden}, {...options, "
            "resultTypes: ['violations']})",
            [FOLDED, options],
        )
        assert found["passes"]  # it has looked
        seen = [(x["id"], x["help"], x["nodes"][0]["html"]) for x in found["violations"]]
        assert seen == []
    visit.close()


def test_all_boards_are_one_file_below_4_mb_that_asks_for_nothing(browser, pages):
    visit = Visit(browser, pages["all"], 1280)
    size = pages["all"].stat().st_size
    paint = visit.page.evaluate(
        "new Promise(done => new PerformanceObserver(list => done(list.getEntriesByName("
        "'first-contentful-paint')[0].startTime)).observe({type: 'paint', buffered: true}))"
    )
    print(f"all boards: {size / 1e6:.1f} MB, first paint after {paint:.0f} ms")
    assert size < 4e6
    assert visit.asked == [visit.page.url]
    assert visit.said == []
    visit.close()


def test_on_paper_what_is_folded_is_open_or_said(browser, pages):
    visit = Visit(browser, pages["all"], 1280, scheme="dark")
    page = visit.page
    page.emulate_media(media="print")
    ink = "rgb(27, 31, 36)"  # that of a light screen
    assert visit.all("body", "getComputedStyle(e).color") == [ink]
    assert set(visit.all(".chart text", "getComputedStyle(e).fill")) == {ink}
    assert page.locator(".paper-only").is_visible()
    assert not page.locator(".search").is_visible()
    first = page.locator("details.task").first
    # Printing opens the questions of the open task, draws no more, and folds them again.
    drawn = visit.all(".chart", "'begun' in e.dataset")
    page.pdf()
    assert not any(visit.all("details.question", "e.open"))
    assert visit.all(".chart", "'begun' in e.dataset") == drawn
    tables = first.locator("table")
    assert tables.count() > 8
    assert all(tables.nth(i).is_visible() for i in range(tables.count()))
    visit.close()


def test_on_paper_without_javascript_every_table_of_a_board_is_there(browser, pages):
    visit = Visit(browser, pages["one"], 1280, scripts=False)
    tables = visit.page.locator("table")
    shown = [tables.nth(i).is_visible() for i in range(tables.count())]
    assert not all(shown)  # most are folded on a screen
    visit.page.emulate_media(media="print")
    assert all(tables.nth(i).is_visible() for i in range(tables.count()))
    assert not visit.page.locator(".chart").first.is_visible()
    visit.close()
