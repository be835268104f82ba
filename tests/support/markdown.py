"""Boards in Markdown, read again."""

from __future__ import annotations


def table(markdown: str) -> list[list[str]]:
    """The cells of the one table in a text."""
    found = [line_ for line_ in markdown.splitlines() if line_.startswith("|")]
    return [[cell.strip() for cell in line_.strip("|").split("|")] for line_ in found]
