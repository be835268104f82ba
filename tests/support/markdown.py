"""Boards in Markdown, read again."""

from __future__ import annotations

import re


def tables(markdown: str) -> list[list[list[str]]]:
    """The cells of each table in a text."""
    found = re.findall(r"(?:^\|.*\n?)+", markdown, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
        for text in found
    ]


def table(markdown: str) -> list[list[str]]:
    """The cells of the last table in a text: of a board of one group, that of all columns."""
    return tables(markdown)[-1]
