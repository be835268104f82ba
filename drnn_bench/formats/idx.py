"""idx files, MNIST's: images and labels, a pair for each split.

Legend: N images, H and W their height and width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from drnn_bench.errors import UserError
from drnn_bench.formats.files import (
    by_split,
    listed,
    named_split,
    read_bytes,
    stray_notes,
)
from drnn_bench.formats.limits import check_count
from drnn_bench.formats.options import Options
from drnn_bench.formats.sequences import (
    Form,
    Part,
    Sequences,
    joined,
)

OPTIONS = ()
IDX_TYPES = {0x08: np.uint8}
NAME = re.compile(r"(.*?)(images|labels)[-_.]idx[13]-ubyte(\.gz)?", re.IGNORECASE)
PAIR = "train-images-idx3-ubyte[.gz] with train-labels-idx1-ubyte[.gz] and the like"


def read(place: Path, files: Sequence[Path], options: Options) -> Sequences:
    """An image [H, W] is a sequence of H x W pixels. A single file finds its partners."""
    matches = _matches(files)
    if not matches:
        raise UserError(f"{place}: not named as idx files are; expected {PAIR}")
    if named := matches.get(place):  # one file: the others of its data set lie beside it
        set_name, beside = _set_name(named), _matches(listed(place.parent, place))
        matches = {path: match for path, match in beside.items() if _set_name(match) == set_name}
        files = [*matches]
    pairs: dict[str, dict[str, Path]] = {}
    for path, match in matches.items():  # of a plain file and its .gz the first, the plain one
        pairs.setdefault(match[1], {}).setdefault(match[2].lower(), path)
    for pair in pairs.values():
        if len(pair) == 1:
            raise UserError(f"{next(iter(pair.values()))}: no partner beside it; expected {PAIR}")
    labels = {pair["images"]: pair["labels"] for pair in pairs.values()}
    parts = [_part(images, labels[images], split) for images, split in by_split(place, [*labels])]
    return joined(parts, Form("idx"), stray_notes({*files} - matches.keys()))


def _matches(paths: Sequence[Path]) -> dict[Path, re.Match[str]]:
    """The paths that are named as idx files are, with the parts of their names."""
    return {path: match for path in paths if (match := NAME.fullmatch(path.name))}


def _set_name(match: re.Match[str]) -> str:
    """The name of the data set, without its split."""
    return named_split(match[1].rstrip("-_."))[0]


def _part(images: Path, labels: Path, split: str | None) -> Part:
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3:
        raise UserError(f"{images}: the images have shape {x.shape}, expected (N, H, W)")
    if y.shape != (len(x),):
        raise UserError(f"{labels}: {len(x)} images but {len(y)} labels (see {images})")
    check_count(len(x), images)
    where = [f"{images} row {i}" for i in range(1, len(x) + 1)]
    return Part(x.reshape(len(x), x.shape[1] * x.shape[2], 1), y, where, split)


def read_idx(path: Path) -> np.ndarray:
    """An idx file, plain or gzipped, as an array."""
    raw = read_bytes(path)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in IDX_TYPES:
        raise UserError(f"{path}: not an idx file of bytes (it begins with {raw[:4].hex()})")
    sizes_end = 4 + 4 * raw[3]
    if len(raw) < sizes_end:
        raise UserError(f"{path}: the idx header ends after {len(raw)} bytes; fetch it again")
    shape = tuple(int(n) for n in np.frombuffer(raw[4:sizes_end], ">u4"))
    expected = sizes_end + math.prod(shape)
    if len(raw) != expected:
        raise UserError(f"{path}: {len(raw)} bytes, its header promises {expected}; fetch it again")
    try:
        return np.frombuffer(raw[sizes_end:], IDX_TYPES[raw[2]]).reshape(shape)
    except ValueError as error:  # nothing of a great size, or too many axes
        raise UserError(f"{path}: its header promises {shape[:4]} ... ({error})") from None
