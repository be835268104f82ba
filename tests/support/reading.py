"""Files written for a test and read again: the sequences in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drnn_bench.formats import reading
from drnn_bench.formats.reading import Options, Sequences

RNG = np.random.default_rng(0)


X = RNG.normal(size=(6, 5)).astype(np.float32)


Y = np.array([3, 1, 3, 1, 3, 1])


def read(path: Path, **options) -> Sequences:
    return reading.read(path, Options(**options))


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def npz(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def parquet(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def same(found, x, y, split=None) -> None:
    """The sequences are these, [T, C] each, and so are the labels, in type too."""
    assert len(found.x) == len(found.y) == len(found.split) == len(found.where) == len(x)
    for got, wanted in zip(found.x, x, strict=True):
        assert got.dtype.kind in "iuf"  # as the file has them: a task shifts before it casts
        wanted = np.asarray(wanted)
        np.testing.assert_array_equal(got, wanted if wanted.ndim == 2 else wanted[:, None])
    if found.per_step:
        assert [labels.tolist() for labels in found.y] == y
    else:
        assert found.y == y
        assert {type(label) for label in found.y} <= {int, str}
    assert found.split == ([None] * len(x) if split is None else split)


WIDE = "a,b,c,label\n1,2,3,up\n4,5,.5,down\n"
WIDE_X = [[1, 2, 3], [4, 5, 0.5]]

TS = """# two channels, unequal lengths
@problemName Small
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@classLabel true up 2.0
@data
1,2,3:.1,.2,3e-1:up
# between

 4 , 5 : 0,1 : 2.0
"""
TS_X = [[[1, 0.1], [2, 0.2], [3, 0.3]], [[4, 0], [5, 1]]]
