"""What a wait says at a terminal, at one that cannot move its cursor, and in a file."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from drnn_bench.cli import waiting
from drnn_bench.jobs import progress
from drnn_bench.jobs.progress import Progress
from drnn_bench.system.streams import renews
from tests.support.searched import study_progress

CURSOR_UP = b"\x1b[1A"


@pytest.fixture
def terminal():
    """Both ends of a real terminal: what is written to the second is read from the first."""
    ours, theirs = os.openpty()
    with open(theirs, "w", buffering=1) as file:
        yield ours, file
    os.close(ours)


def read_until(end: bytes, descriptor: int) -> bytes:
    """All that comes before it, and it."""
    said = b""
    while end not in said:
        said += os.read(descriptor, 10_000)
    return said


@pytest.mark.parametrize(("kind", "moves"), [("xterm", True), ("dumb", False)])
def test_a_terminal_renews_lines_where_its_cursor_moves(terminal, kind, moves):
    assert renews(Console(file=terminal[1], _environ={"TERM": kind})) is moves


def test_a_file_is_no_terminal_whatever_force_color_says():
    environment = {"TERM": "xterm", "FORCE_COLOR": "1"}
    assert not renews(Console(file=io.StringIO(), _environ=environment))


def test_a_search_is_said_in_lines_at_a_terminal_that_cannot_move_its_cursor(terminal, monkeypatch):
    ours, file = terminal
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    shown = Progress(Console(file=file, width=80, _environ={"TERM": "dumb"}))
    shown.begin(0)
    for done in (0, 3, 24):
        shown.show([study_progress(done=done)])
        clock[0] += 61
    shown.end()
    said = read_until(b"24/24\r\n", ours)
    assert [line.split(b",")[0].strip() for line in said.splitlines()] == [
        b"search 0/24", b"search 3/24", b"search 24/24"]  # fmt: skip
    assert CURSOR_UP not in said


def test_a_line_a_minute_where_none_is_renewed(monkeypatch):
    clock, said = [1000.0], []
    monkeypatch.setattr(waiting.time, "monotonic", lambda: clock[0])
    with waiting.waiting(Console(file=io.StringIO()), said.append, "starting") as now:
        for second in range(150):
            clock[0] = 1000.0 + second
            now(f"at {second} of [red]150[/red]")
    assert said == ["at 61 of [red]150[/red]", "at 122 of [red]150[/red]"]


def test_a_terminal_shows_each_line_as_it_is(terminal):
    ours, file = terminal
    console = Console(file=file, width=80, _environ={"TERM": "xterm"})
    with waiting.waiting(console, pytest.fail, "starting") as now:
        now("at [red]1[/red]")
    assert b"at [red]1[/red]" in read_until(b"[/red]", ours)
