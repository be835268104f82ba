"""A page in a real browser, without a network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PATIENCE = 300_000  # milliseconds; a machine may be busy


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield browser
        browser.close()


class Visit:
    """A page as somebody opened it, with everything that it said and asked for."""

    def __init__(self, browser, path: Path, width: int, scripts: bool = True, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=scripts,
            color_scheme=scheme, offline=True,
        )  # fmt: skip
        context.set_default_timeout(PATIENCE)
        self.page, self.said, self.asked = context.new_page(), [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        if scripts:
            self.page.wait_for_selector("html[data-drawn]", state="attached")

    def unfold(self) -> Visit:
        """Opens every task and every question, and waits for the charts in them."""
        self.page.evaluate(
            "document.querySelectorAll('details:not(.data)').forEach(part => {"
            "part.removeAttribute('name'); part.open = true; })"
        )
        charts = self.page.locator(".chart").count()
        self.page.wait_for_selector(f"html[data-drawn='{charts}']", state="attached")
        return self

    def all(self, selector: str, what: str) -> list[Any]:
        """`what`, a JavaScript expression of `e`, for every element."""
        return self.page.eval_on_selector_all(selector, f"all => all.map(e => {what})")

    def close(self) -> None:
        self.page.context.close()
