"""Text that has a sequence in each row: its lines, and the numbers in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.number_text import fault, is_number

COMMENTS = ("#", "%")
MISSING = ("?", "nan")  # in lower case


def lines_of(text: str) -> list[tuple[int, str]]:
    """The lines of a text, each with its number; none that is blank or a comment."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [
        (number, line)
        for number, line in enumerate(lines, 1)
        if (start := line.lstrip()) and not start.startswith(COMMENTS)
    ]


def numbers(where: str, words: Sequence[str], empty: bool = False) -> np.ndarray:
    """Words as numbers, float64 [T]; NaN for a missing one, which is written `?` or NaN, and with
    `empty` may be an empty word. `where` is how errors call the row."""
    try:
        if "_" not in "".join(words):  # Python would read 1_000
            return np.array(list(map(float, words)), dtype=np.float64)
    except ValueError:
        pass
    return np.array([_number(where, *one, empty) for one in enumerate(words, 1)])


def is_value(word: str) -> bool:
    """Whether it is a number, or stands for one that is missing."""
    return word.strip().lower() in MISSING or is_number(word)


def _number(where: str, step: int, word: str, empty: bool) -> float:
    word = word.strip()
    if word.lower() in MISSING or (empty and not word):
        return np.nan
    if is_number(word):
        return float(word)
    hint = ""
    if not word:
        hint = "; write ? for a missing value"
    elif all(map(is_number, word.split())):
        hint = "; separate values by commas"
    elif why := fault(word):
        hint = f": it has {why}"
    raise UserError(f"{where}: {word[:40]!r}, no number, at step {step}{hint}")
