"""What a run says in a notebook: one output below the cell, renewed in place."""

from __future__ import annotations

import io
import time
from collections import deque

from rich.console import Console, RenderableType

from drnn_bench.jobs.progress import StudyProgress, failures, table
from drnn_bench.jobs.terminal import Terminal
from drnn_bench.system.escape import plain

WIDTH = 100  # letters
LINES = 8  # the newest ones that are shown
EVERY = 2.0  # seconds between two renewals by the search


def in_notebook() -> bool:
    return Console().is_jupyter


class Cell(Terminal):
    """The reporter of `drnn_bench.run` in a notebook: the plan or the search, as a table, and the
    newest lines."""

    def __init__(self):
        from IPython.display import display  # a notebook has it

        super().__init__(_paper(), lambda question: True)
        self._lines: deque[str] = deque(maxlen=LINES)
        self._search, self._renewed = "", 0.0
        output = display({"text/plain": ""}, raw=True, display_id=True)
        assert output is not None  # it has an id
        self._output = output

    def search(self, rows: list[StudyProgress]) -> None:
        left = sum(row.left for row in rows)
        if left and time.monotonic() - self._renewed < EVERY:
            return
        parts = [_text(table(rows, WIDTH)), *failures(rows), self.progress.pace(rows)]
        self._search = "\n".join(filter(None, parts))
        self._renew()

    def say(self, line: str) -> None:
        self._lines.append(plain(line))
        self._renew()

    def rest(self) -> None:
        self._renew()

    def _renew(self) -> None:
        assert isinstance(self.console.file, io.StringIO)
        shown = self._search or self.console.file.getvalue()  # the plan
        text = "\n".join([*self._lines, shown]).rstrip()
        self._output.update({"text/plain": text}, raw=True)
        self._renewed = time.monotonic()


def _paper() -> Console:
    """A console that keeps what is printed, without colours: a kernel asks rich for them."""
    return Console(
        file=io.StringIO(), width=WIDTH, force_jupyter=False, force_terminal=False,
        color_system=None, markup=False, emoji=False,
    )  # fmt: skip


def _text(drawn: RenderableType) -> str:
    paper = _paper()
    paper.print(drawn)
    assert isinstance(paper.file, io.StringIO)
    return paper.file.getvalue().rstrip()
