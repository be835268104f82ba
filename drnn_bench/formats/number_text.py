"""Numbers written as text: which are read, and why others are not."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORDS = {"", "nan", "inf", "infinity"}  # Python reads them as numbers, and they are words too
GROUP = r"[,.'_ \u00a0\u202f\u2009]"
THOUSANDS = re.compile(rf"[-+−]?\d{{1,3}}({GROUP}\d{{3}})+([.,]\d+)?")
COMMA = re.compile(r"[-+−]?\d*,\d+([eE][-+]?\d+)?")
MINUS = re.compile(r"−\d+([.,]\d+)?")  # a typographic minus sign
UNIT = re.compile(
    r"[-+−]?[$€£¥]\s?\d+([.,]\d+)*"  # $5
    r"|[-+−]?\d+([.,]\d+)*\s?[%‰°$€£¥][CF]?"  # 5 %
    r"|[-+−]?\d+[.,]\d+\s?[A-Za-zµμΩ/²³]{1,6}"  # 3.5kg
    r"|[-+−]?\d+\s[A-Za-zµμΩ/²³]{1,6}"  # 12 ms
)


def is_number(value: object) -> bool:
    """Whether a value is a finite number, or text that Python reads as one."""
    if isinstance(value, str) and (
        "_" in value or value.strip().lower().lstrip("+-") in WORDS  # Python reads 1_000 too
    ):
        return False
    if value is None or isinstance(value, bool):
        return False
    try:
        float(value)  # pyright: ignore[reportArgumentType]: of any type, refused by TypeError
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def fault(text: str) -> str | None:
    """Why a text that is meant as a number is none; None for words."""
    text = text.strip()
    if is_number(text):
        return "a number among words"
    if THOUSANDS.fullmatch(text) and COMMA.fullmatch(text):
        return "a thousands separator or a decimal comma"
    if THOUSANDS.fullmatch(text):
        return "a thousands separator"
    if COMMA.fullmatch(text):
        return "a decimal comma"
    if MINUS.fullmatch(text):
        return "a minus sign that is no hyphen"
    if UNIT.fullmatch(text):
        return "a unit"
    return None


def first_fault(texts: Iterable[str | None]) -> tuple[str, str] | None:
    """The first text that is meant as a number, and what is wrong with it."""
    for text in texts:
        if text is not None and (why := fault(text)):
            return text, why
    return None
