"""Pairs of idx files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.support.reading import RNG, Y, read, same, written
from tests.support.refused import refusal


def idx(array: np.ndarray) -> bytes:
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


IMAGES = RNG.integers(0, 256, (6, 2, 3))


def idx_pairs(folder: Path, **rows: slice) -> Path:
    for split, chosen in rows.items():
        written(folder / f"{split}-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES[chosen])))
        written(folder / f"{split}-labels-idx1-ubyte", idx(Y[chosen]))
    return folder


@pytest.mark.parametrize("test", ["t10k", "test"])
def test_idx_pairs(tmp_path, test):
    idx_pairs(tmp_path, train=slice(0, 4), **{test: slice(4, 6)})
    written(tmp_path / "other-train-images-idx3-ubyte", b"")
    flat = IMAGES.reshape(6, 6)
    for name in (f"{test}-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"):
        same(read(tmp_path / name), flat, Y.tolist(), ["train"] * 4 + ["test"] * 2)
    (tmp_path / "other-train-images-idx3-ubyte").unlink()
    same(read(tmp_path), flat, Y.tolist(), ["train"] * 4 + ["test"] * 2)


def test_wrong_idx_pairs_are_one_line(tmp_path):
    idx_pairs(tmp_path, train=slice(0, 6))
    images, labels = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte"
    written(labels, idx(Y[:5]))
    assert f"{labels}: 6 images but 5 labels (see {images})" in refusal(read, tmp_path)
    written(labels, idx(Y)[1:])
    assert f"{labels}: not an idx file" in refusal(read, tmp_path)
    written(labels, idx(Y))
    written(images, gzip.compress(idx(IMAGES))[:-5])
    assert f"{images}: not a whole gzip file" in refusal(read, tmp_path)
    written(images, gzip.compress(idx(IMAGES.reshape(6, 6))))
    assert f"{images}: the images have shape (6, 6)" in refusal(read, tmp_path)
    written(images, b"")
    assert f"{images}: the file is empty" in refusal(read, tmp_path)
    images.unlink()
    assert f"{labels}: no partner beside it" in refusal(read, labels)
    labels.rename(tmp_path / "labels-ubyte")
    assert "not named as idx files are" in refusal(read, tmp_path)
