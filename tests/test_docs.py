"""The documentation: what is made from the code is up to date, and every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.command import ENV, ROOT

PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


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


def test_readme_names_every_page():
    text = (ROOT / "README.md").read_text()
    assert [p for p in PAGES if p.startswith("docs/") and f"({p})" not in text] == []
