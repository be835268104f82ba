"""The documentation: what is made from the code is up to date, and every link leads somewhere."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from drnn_bench.cli.examples import EXAMPLES
from drnn_bench.models.names import FAMILIES
from tests.support.command import ENV, ROOT

SVG = "{http://www.w3.org/2000/svg}"
DOCS = [f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")]
FAMILY_PAGES = [f"docs/families/{path.name}" for path in (ROOT / "docs" / "families").glob("*.md")]
PAGES = ["README.md", "CONTRIBUTING.md", *DOCS, *FAMILY_PAGES]


def test_what_is_made_from_the_code_is_what_the_code_gives():
    done = subprocess.run(
        [sys.executable, "docs/make.py", "--check"],
        cwd=ROOT, env=ENV | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#\s]+)", text)
    local = [link for link in links if "://" not in link]
    folder = (ROOT / page).parent
    assert [link for link in local if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", ["README.md", *DOCS, "the helps"])
def test_what_a_page_describes_and_lists_can_be(page, typed):
    """The commands that need no data and no run."""
    helps = "\n".join(line for lines in EXAMPLES.values() for line in lines)
    text = helps if page == "the helps" else (ROOT / page).read_text()
    line = r"^(?:    )?bench ((?:describe|ls (?!data)|new) .*?)(?: +#.*)?$"
    for words in re.findall(line, text, re.MULTILINE):
        typed(*shlex.split(words))


def test_readme_names_every_page():
    text = (ROOT / "README.md").read_text()
    named = [*DOCS, "docs/families/README.md"]
    assert [page for page in named if f"({page})" not in text] == []


def test_every_family_has_a_page_and_a_drawing_that_can_be_read_by_ear():
    folder = ROOT / "docs" / "families"
    assert {path.stem for path in (folder / "text").iterdir()} == {*FAMILIES}
    assert {path.stem for path in folder.glob("*.md")} == {*FAMILIES, "README"}
    assert {path.stem for path in (folder / "figures").iterdir()} == {*FAMILIES}
    for path in (folder / "figures").iterdir():
        drawing = ET.parse(path).getroot()
        title, desc, *_ = drawing
        assert path.stem in title.text
        rows = [text.text for text in drawing.iter(f"{SVG}text")]
        assert rows[0] == "input"  # text is text
        assert "prefers-color-scheme:dark" in path.read_text()
        assert desc.text == f"From the input up: {'; '.join(rows[1:-2])}."


@pytest.mark.parametrize("family", FAMILIES)
def test_the_formulas_and_commands_of_a_page_give_its_numbers(family, typed):
    text = (ROOT / "docs" / "families" / f"{family}.md").read_text()
    formulas, numbers = (
        re.findall(r"(?<=\| )[^|]+(?= \|)", line)[1:4]
        for line in text.splitlines()
        if line.startswith(("| the net above", "| with $`H = 48`$"))
    )
    assert len(formulas) == 3
    for formula, number in zip(formulas, numbers, strict=True):
        assert at_width(formula, 48) == pytest.approx(float(number.replace(",", "")), abs=0.5)
    [words] = re.findall(r"^    bench (describe .*)$", text, re.MULTILINE)
    facts = json.loads(typed(*words.split(), "--json").stdout)
    assert 4_500 <= facts["parameters"] <= 5_000


def at_width(formula: str, width: int) -> float:
    """The value of a sum of multiples of H^2, H and 1 in LaTeX."""
    value = 0.0
    for term in formula.strip("$`").replace("- ", "+ -").split(" + "):
        factor, power = re.fullmatch(r"([^H]*)(?:H(?:\^(2))?)?", term).groups()
        numbers = [float(x) for x in re.findall(r"[\d.]+", factor.replace("{,}", ""))] or [1.0]
        size = numbers[0] / (numbers[1] if len(numbers) > 1 else 1)
        sign = -1 if factor.startswith("-") else 1
        value += sign * size * width ** (int(power or 1) if "H" in term else 0)
    return value
