"""Labels of any type -> whole numbers or names. A label that is neither is refused.

Or targets that are real numbers -> float64. Legend: M targets' places, D targets at each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.number_text import is_number

LARGEST = float(np.finfo(np.float32).max)  # of a real target
UNSCORED = -100  # as the label of a step: it is not scored (torch's own number for it)

MISSING = {"", "nan", "-nan", "#n/a", "n/a", "<na>", "null", "nat"}
MISSING_AMONG_NUMBERS = {"na", "?"}


def labels_of(parts: Sequence[np.ndarray], where: Callable[[int], str]) -> np.ndarray:
    """The labels as whole numbers (int64) where all of them are, also as text; else as names (str).

    `parts` are the labels of several files, one after another; `where(i)` names the i-th label in
    messages. True and False are names. Raises UserError where a label is missing, or is a real
    number.
    """
    y = np.concatenate([_read(part, where) for part in parts])
    missing = missing_word(y)
    if missing is not None:
        word = f" ({str(y[missing])!r})" if str(y[missing]).strip() else ""
        raise UserError(f"{where(missing)}: the label is missing{word}")
    # The distinct ones are few; NaN equals itself here.
    distinct, first, place = np.unique(y, return_index=True, return_inverse=True)
    if distinct.dtype.kind == "U":
        named = [label_text(name) for name in distinct.tolist()]
        if all(re.fullmatch(r"0|-?[1-9][0-9]{0,17}", name) for name in named):  # no 007
            return np.array(named, dtype=np.int64)[place]
        numbers = _numbers(named)
        if numbers is None:
            return np.array(named)[place]
        distinct = numbers
    if distinct.dtype.kind == "f":
        real = (np.abs(distinct) >= 2**53) | (distinct != np.round(distinct))
        if real.any():
            raise UserError(
                f"{where(first[real][0])}: the label is {distinct[real][0]:g}; classification "
                f"needs labels, whole numbers or names, of each sequence or of each step; to "
                f"predict real numbers write metric=rmse (or mse, mae, r2)"
            )
        distinct = distinct.astype(np.int64)
    return distinct[place]


def targets_of(parts: Sequence[np.ndarray], where: Callable[[int], str]) -> np.ndarray:
    """Real targets, float64 [M, D]; NaN where one is missing.

    `parts` are those of several files, [M] or [M, D], numbers or text; `where(i)` names the i-th
    place in messages. Raises UserError for what is no number, or too great for float32.
    """
    first, ys = 0, []
    for part in parts:
        y = _read(part, lambda i, first=first: where(first + i))
        y = y.reshape(len(y), -1)
        ys.append(_as_numbers(y, lambda i, first=first: where(first + i)))
        first += len(y)
    widths = {y.shape[1] for y in ys}
    if len(widths) > 1:
        raise UserError(
            f"{where(0)}: {sorted(widths)} targets in different files; all need as many"
        )
    y = np.concatenate(ys)
    great = np.argwhere(np.abs(y) > LARGEST)
    if len(great):
        place, column = great[0]
        raise UserError(
            f"{where(place)}: the target is {y[place, column]:g}, expected numbers up to "
            f"{LARGEST:.2g}"
        )
    return y


def _as_numbers(y: np.ndarray, where: Callable[[int], str]) -> np.ndarray:
    if y.dtype.kind in "iuf":
        return y.astype(np.float64)
    numbers = np.full(y.shape, np.nan)
    for place, column in np.ndindex(y.shape):
        word = str(y[place, column]).strip()
        if is_number(word):
            numbers[place, column] = float(word)
        elif word.lower() not in MISSING | MISSING_AMONG_NUMBERS:
            raise UserError(
                f"{where(place)}: the target is {word[:40]!r}, no number; for classes leave out "
                f"the metric of real numbers"
            )
    return numbers


def label_text(label: str) -> str:
    """A label as it is compared: without blanks around it, in Unicode's composed form (NFC), since
    macOS decomposes the letters in file names."""
    return unicodedata.normalize("NFC", label).strip()


def _read(y: np.ndarray, where: Callable[[int], str]) -> np.ndarray:
    """The labels of one file as numbers or text."""
    if y.dtype.kind not in "biufUS":
        raise UserError(f"{where(0)}: labels are {y.dtype}, expected whole numbers or text")
    if y.dtype.kind == "S":
        try:
            return np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{where(0)}: labels are bytes that are not UTF-8") from None
    return y.astype(str) if y.dtype == bool else y


def missing_word(words: np.ndarray) -> int | None:
    """The index of the first word that stands for a missing value: NaN, or one of MISSING; among
    numbers also one of MISSING_AMONG_NUMBERS. None where there is none."""
    if words.dtype.kind == "f":
        missing = np.isnan(words)
    elif words.dtype.kind in "US":
        distinct, place = np.unique(words, return_inverse=True)
        plain = [str(word).strip().lower() for word in distinct.tolist()]
        doubtful = [word in MISSING or word in MISSING_AMONG_NUMBERS for word in plain]
        others = [w for w, out in zip(plain, doubtful, strict=True) if not out]
        numbers = others and all(map(is_number, others))
        out = np.array([word in MISSING for word in plain]) if not numbers else np.array(doubtful)
        missing = out[place]
    else:
        return None
    return int(missing.argmax()) if missing.any() else None


def is_scored(labels: np.ndarray) -> np.ndarray:
    """Which labels of steps count: all but those that are UNSCORED."""
    return labels != (str(UNSCORED) if labels.dtype.kind == "U" else UNSCORED)


def _numbers(named: Sequence[str]) -> np.ndarray | None:
    """Labels written as 1.0 or 0.25; None where one is a name (or 007, which is one too)."""
    number = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?(e[-+]?[0-9]+)?", re.IGNORECASE)
    try:
        return np.array([float(name if number.fullmatch(name) else "no") for name in named])
    except ValueError:
        return None
